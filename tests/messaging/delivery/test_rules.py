"""Delivery rules: what they hold back, put off and let go, with real Redis and a real gateway."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import ValidationError
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from configcenter.hot import Applied
from messaging import selectors, statistics, traces
from messaging.configuration import delivery_rules
from messaging.configuration.delivery import DeliveryRules, Hours
from messaging.delivery.deliver import deliver
from messaging.delivery.rules import counters, hours
from messaging.delivery.rules.counters import Cap, RuleAnswer, RuleQuery
from messaging.models import Message, Status
from messaging.queueing import deferred, operate, settling
from posthaste.lib import redis, zones
from posthaste.lib.ids import new_id
from tests.builders import (
    TESTER,
    close_committer,
    make_api,
    make_batch,
    make_message,
    make_provider,
    make_suppression,
    make_template,
    make_tenant,
)
from tests.peers.gateway import Answer, Gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALL_DAY: dict[str, Any] = {"start": "00:00", "end": "00:00"}


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


@pytest.fixture
def tenant(gateway: Gateway) -> Any:
    made = make_tenant()
    make_provider(made, kind="http", config={"url": gateway.url})
    return made


def queued(tenant: Any, **fields: Any) -> Message:
    return make_message(tenant, status=Status.QUEUED, **fields)


def reload(message: Message) -> Message:
    return Message.objects.get(pk=message.pk)


def reasons(message: Message) -> list[str]:
    return [event["reason"] for event in traces.trace(reload(message))["events"] if event["event"] == "rule"]


# --- the suppression list --------------------------------------------------------------------------------------------


def test_who_is_on_the_suppression_list_gets_nothing_not_even_what_is_urgent(tenant: Any, gateway: Gateway) -> None:
    make_suppression(tenant, "+8613812345678", reason="hard_bounce")
    message = queued(tenant, priority=10)
    other = queued(tenant, recipient="+8613812345679")
    deliver([message.pk, other.pk])
    row = reload(message)
    assert (row.status, row.error_code, row.attempts) == (Status.SUPPRESSED, "rule:suppressed:hard_bounce", 0)
    assert row.finished_at is not None
    assert set(gateway.taken) == {other.pk.hex}
    assert reasons(message) == ["rule:suppressed:hard_bounce"]


@pytest.mark.parametrize(
    ("entry", "held"),
    [
        ({}, True),
        ({"channel": "sms"}, True),
        ({"channel": "email"}, False),
        ({"category": "marketing"}, True),
        ({"category": "code"}, False),
        ({"expires_at": NOON - timedelta(days=90)}, False),
        ({"expires_at": NOON + timedelta(days=3650)}, True),
    ],
)
def test_an_entry_counts_for_its_channel_its_category_and_its_time(tenant: Any, gateway: Gateway, entry: Any, held: bool) -> None:
    make_suppression(tenant, "+8613812345678", **entry)
    message = queued(tenant, category="marketing")
    deliver([message.pk])
    assert reload(message).status == (Status.SUPPRESSED if held else Status.SENT)


def test_another_tenants_list_does_not_matter(tenant: Any, gateway: Gateway) -> None:
    make_suppression(make_tenant("Other"), "+8613812345678")
    message = queued(tenant)
    deliver([message.pk])
    assert reload(message).status == Status.SENT


def test_the_books_of_a_batch_balance_with_suppressed_messages(tenant: Any, gateway: Gateway) -> None:
    batch = make_batch(tenant, queued=3)
    make_suppression(tenant, "+8613812345678")
    deliver(list(batch.messages.values_list("pk", flat=True)))
    totals = selectors.batch_summary(batch, selectors.batch_counts([batch])[batch.pk])
    assert (totals["counts"]["suppressed"], totals["in_progress"], totals["ended"]) == (3, 0, 3)
    settling.settle_batches(now=timezone.now())
    batch.refresh_from_db()
    assert batch.status == "finished"


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_the_same_text_to_the_same_recipient_goes_out_once(tenant: Any, gateway: Gateway) -> None:
    first, twin, later, other = queued(tenant), queued(tenant), queued(tenant), queued(tenant, body="Something else")
    with delivery_rules.set(duplicates={"is_enabled": True}):
        deliver([first.pk, twin.pk])
        deliver([later.pk, other.pk])
    assert [reload(row).status for row in (first, twin, later, other)] == [Status.SENT, Status.SUPPRESSED, Status.SUPPRESSED, Status.SENT]
    assert reload(twin).error_code == "rule:duplicate"


def test_a_retry_is_not_its_own_duplicate(tenant: Any, gateway: Gateway) -> None:
    gateway.script(Answer(status=500))
    message = queued(tenant)
    with delivery_rules.set(duplicates={"is_enabled": True}, frequency=[{"name": "one", "most": 1}]):
        deliver([message.pk])
        assert reload(message).status == Status.PENDING
        Message.objects.filter(pk=message.pk).update(status=Status.QUEUED)
        deliver([message.pk])
    assert reload(message).status == Status.SENT


def test_what_failed_for_good_gives_back_its_claim_and_its_count(tenant: Any, gateway: Gateway) -> None:
    gateway.script(Answer(status=400))
    first, second = queued(tenant), queued(tenant)
    with delivery_rules.set(duplicates={"is_enabled": True}, frequency=[{"name": "one", "most": 1}]):
        deliver([first.pk])
        deliver([second.pk])
    assert [reload(row).status for row in (first, second)] == [Status.FAILED, Status.SENT]


def test_login_codes_and_other_channels_may_repeat(tenant: Any, gateway: Gateway) -> None:
    codes = [queued(tenant, category="code") for _ in range(2)]
    with delivery_rules.set(duplicates={"is_enabled": True}):
        deliver([row.pk for row in codes])
    others = [queued(tenant) for _ in range(2)]
    with delivery_rules.set(duplicates={"is_enabled": True, "channels": ["email"]}):
        deliver([row.pk for row in others])
    assert {reload(row).status for row in codes + others} == {Status.SENT}


def test_trying_out_does_not_touch_what_is_earnest(tenant: Any, gateway: Gateway) -> None:
    tried, earnest = queued(tenant, is_sandbox=True), queued(tenant)
    with delivery_rules.set(duplicates={"is_enabled": True}, frequency=[{"name": "one", "most": 1}]):
        deliver([tried.pk])
        deliver([earnest.pk])
        again = queued(tenant, is_sandbox=True)
        deliver([again.pk])
    assert [reload(row).status for row in (tried, earnest, again)] == [Status.SENT, Status.SENT, Status.SUPPRESSED]


# --- frequency caps --------------------------------------------------------------------------------------------------


def test_a_recipient_hears_no_more_often_than_the_cap_allows(tenant: Any, gateway: Gateway) -> None:
    rows = [queued(tenant, body=f"Offer {n}", category="marketing") for n in range(4)]
    other = queued(tenant, body="Offer", category="marketing", recipient="+8613812345679")
    notice = queued(tenant, body="Your parcel", category="notice")
    with delivery_rules.set(frequency=[{"name": "weekly", "category": "marketing", "most": 2, "hours": 168}]):
        deliver([row.pk for row in (*rows, other, notice)])
    assert Counter(reload(row).status for row in rows) == {Status.SENT: 2, Status.SUPPRESSED: 2}
    assert {reload(row).status for row in (other, notice)} == {Status.SENT}
    assert reload(rows[3]).error_code == "rule:frequency:weekly"


def test_a_cap_that_defers_puts_the_message_off_until_there_is_room(tenant: Any, gateway: Gateway) -> None:
    first, second = queued(tenant), queued(tenant, body="Again")
    with delivery_rules.set(frequency=[{"name": "hourly", "most": 1, "hours": 1, "outside": "defer"}]):
        deliver([first.pk, second.pk])
    row = reload(second)
    assert (row.status, row.error_code, row.attempts) == (Status.PENDING, "rule:frequency:hourly", 0)
    assert timedelta(minutes=59) < row.due_at - timezone.now() < timedelta(minutes=64)


def test_the_window_slides(tenant: Any) -> None:
    cap = Cap(redis.key("f", tenant.pk, "sliding"), 60_000, 2)
    answers = [counters.check([RuleQuery(new_id(), caps=(cap,))], now=NOON + timedelta(seconds=s))[0] for s in (0, 30, 45, 60, 61, 90)]
    assert [answer.verdict for answer in answers] == [0, 0, 1, 0, 1, 0]
    assert answers[2].wait == timedelta(seconds=15)


def test_one_refusal_takes_nothing_from_the_other_rules(tenant: Any) -> None:
    roomy, full = (Cap(redis.key("f", tenant.pk, name), 60_000, most) for name, most in (("roomy", 9), ("full", 1)))
    counters.check([RuleQuery(new_id(), caps=(full,))], now=NOON)
    refused = RuleQuery(new_id(), redis.key("d", tenant.pk, "text"), 60_000, (roomy, full))
    assert counters.check([refused], now=NOON)[0].verdict == 2
    assert redis.client().exists(*refused.keys[:2]) == 0


def test_while_redis_is_away_what_would_go_out_unchecked_is_put_off_and_all_else_goes(
    tenant: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    concerned, urgent, code = queued(tenant), queued(tenant, priority=9), queued(tenant, category="code")
    # A server that is asked for at a closed port: everything else of the delivery keeps its own client.
    away = Redis(port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(counters, "redis", SimpleNamespace(client=lambda: away, Unavailable=redis.Unavailable))
    with delivery_rules.set(duplicates={"is_enabled": True}):
        deliver([concerned.pk, urgent.pk, code.pk])
    row = reload(concerned)
    assert (row.status, row.error_code) == (Status.PENDING, "rule:unchecked")
    assert row.due_at < timezone.now() + timedelta(seconds=20)
    assert {reload(other).status for other in (urgent, code)} == {Status.SENT}


# --- hours -----------------------------------------------------------------------------------------------------------


def test_quiet_hours_put_off_until_morning_and_a_lifted_rule_lets_go_at_once(tenant: Any, gateway: Gateway) -> None:
    message, urgent = queued(tenant), queued(tenant, priority=9)
    with delivery_rules.set(quiet_hours=[{"name": "always", **ALL_DAY}], jitter_minutes=0):
        deliver([message.pk, urgent.pk])
        row = reload(message)
        assert (row.status, row.error_code, row.attempts) == (Status.PENDING, "rule:quiet:always", 0)
        assert row.due_at > timezone.now()
        assert reload(urgent).status == Status.SENT
        event = next(e for e in traces.trace(row)["events"] if e["event"] == "rule")
        assert (event["reason"], event["status"], event["release"]) == ("rule:quiet:always", "pending", 0)
        assert event["delay_ms"] > 0
    # The rule is lifted: what it held is due at once, and this time nothing holds it.
    assert deferred._due, "the change was noticed"
    deferred.pull_forward(now=timezone.now())
    assert reload(message).due_at <= timezone.now()
    Message.objects.filter(pk=message.pk).update(status=Status.QUEUED)
    deliver([message.pk])
    row = reload(message)
    assert (row.status, row.error_code) == (Status.SENT, "")
    assert gateway.taken[message.pk.hex] == 1


def test_only_what_a_rule_put_off_is_pulled_forward() -> None:
    tenant, later = make_tenant(), timezone.now() + timedelta(hours=5)
    scheduled = make_message(tenant, due_at=later)
    retried = make_message(tenant, due_at=later, error_code="http_500")
    put_off = make_message(tenant, due_at=later, error_code="rule:quiet:night")
    assert statistics.overview(tenant_id=tenant.pk, now=timezone.now())["deferred"] == 1
    assert deferred.pull_forward(now=timezone.now()) == 1
    assert [reload(row).due_at == later for row in (scheduled, retried, put_off)] == [True, True, False]
    assert deferred.pull_forward(now=timezone.now()) == 0


def test_the_clock_takes_another_look_after_a_change_and_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    put_off = make_message(make_tenant(), due_at=timezone.now() + timedelta(hours=5), error_code="rule:quiet:night")
    deferred._due.clear()
    assert deferred.pull_forward_if_changed(now=timezone.now()) == 0
    with delivery_rules.set(jitter_minutes=1):
        monkeypatch.setattr(deferred, "_due", [at - deferred.LOOKS[1] for at in deferred._due])
        assert deferred.pull_forward_if_changed(now=timezone.now()) == 1
    assert reload(put_off).due_at <= timezone.now()


def test_what_would_wait_beyond_its_expiry_ends_at_once_and_says_why(tenant: Any, gateway: Gateway) -> None:
    message = queued(tenant, expires_at=timezone.now() + timedelta(minutes=1))
    with delivery_rules.set(quiet_hours=[{"name": "always", **ALL_DAY}]):
        deliver([message.pk])
    assert (reload(message).status, reload(message).error_code) == (Status.EXPIRED, "rule:quiet:always")


def test_a_rule_may_drop_instead(tenant: Any, gateway: Gateway) -> None:
    message = queued(tenant)
    with delivery_rules.set(quiet_hours=[{"name": "never", "outside": "drop", **ALL_DAY}]):
        deliver([message.pk])
    assert (reload(message).status, reload(message).error_code) == (Status.SUPPRESSED, "rule:quiet:never")


def test_a_tenants_own_rules_take_the_place_of_the_installations(tenant: Any, gateway: Gateway) -> None:
    own = DeliveryRules(quiet_hours=[Hours(name="mine", **ALL_DAY)])
    before = delivery_rules.now
    delivery_rules.swap(Applied(DeliveryRules(), 7, "x", {tenant.pk: own}))
    try:
        message = queued(tenant)
        deliver([message.pk])
    finally:
        delivery_rules.swap(before)
    assert reload(message).error_code == "rule:quiet:mine"
    assert next(e for e in traces.trace(message)["events"] if e["event"] == "rule")["release"] == 7


def blocked(now: datetime, *, zone: ZoneInfo = SHANGHAI, category: str = "", channel: str = "sms", **rules: Any) -> hours.Block | None:
    value = DeliveryRules.model_validate({"jitter_minutes": 0, **rules})
    return hours.block(value, category=category, channel=channel, zone=zone, now=now)


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


NIGHT = {"name": "night", "start": "22:00", "end": "08:00"}


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-04 21:59", None),
        ("2026-03-04 22:00", "2026-03-05 08:00"),
        ("2026-03-05 03:00", "2026-03-05 08:00"),
        ("2026-03-05 07:59", "2026-03-05 08:00"),
        ("2026-03-05 08:00", None),
    ],
)
def test_quiet_hours_go_over_midnight_by_the_recipients_clock(now: str, until: str | None) -> None:
    block = blocked(at(now), quiet_hours=[NIGHT])
    assert (block.until if block else None) == (at(until) if until else None)


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    friday_night = {**NIGHT, "days": [5]}
    assert blocked(at("2026-03-07 03:00"), quiet_hours=[friday_night]) is not None  # a Saturday
    assert blocked(at("2026-03-06 03:00"), quiet_hours=[friday_night]) is None


def test_send_windows_open_on_the_next_day_that_has_one() -> None:
    office = {"name": "office", "days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}
    block = blocked(at("2026-03-06 18:30"), send_windows=[office])  # a Friday evening
    assert block == hours.Block("rule:window:office", at("2026-03-09 09:00"))
    assert blocked(at("2026-03-06 17:59"), send_windows=[office]) is None


def test_windows_and_quiet_hours_are_obeyed_together() -> None:
    lunch = {"name": "lunch", "start": "12:00", "end": "14:00"}
    midday = {"name": "midday", "start": "11:00", "end": "15:00"}
    block = blocked(at("2026-03-04 12:30"), quiet_hours=[NIGHT, lunch], send_windows=[midday])
    assert block == hours.Block("rule:quiet:lunch", at("2026-03-04 14:00"))
    evening = blocked(at("2026-03-04 15:30"), quiet_hours=[NIGHT, lunch], send_windows=[midday])
    assert evening == hours.Block("rule:window:midday", at("2026-03-05 11:00"))


def test_rules_that_leave_no_gap_are_asked_again_tomorrow() -> None:
    block = blocked(NOON, quiet_hours=[{"name": "never", **ALL_DAY}])
    assert block is not None
    assert block.until == NOON + timedelta(days=1)


def test_a_rule_for_a_category_or_a_channel_leaves_the_others_alone() -> None:
    rule = {**NIGHT, "category": "marketing", "channels": ["sms"]}
    night = at("2026-03-04 23:00")
    assert blocked(night, quiet_hours=[rule], category="marketing") is not None
    assert blocked(night, quiet_hours=[rule], category="code") is None
    assert blocked(night, quiet_hours=[rule], category="marketing", channel="email") is None
    assert blocked(night, quiet_hours=[{**rule, "is_enabled": False}], category="marketing") is None


@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])  # the nights in which Paris changes its clocks
def test_quiet_hours_end_by_the_clock_on_the_wall_also_when_it_is_changed(day: str) -> None:
    paris = ZoneInfo("Europe/Paris")
    start = datetime.fromisoformat(f"{day} 22:00").replace(tzinfo=paris)
    ends = set()
    for minutes in range(0, 9 * 60, 10):
        block = blocked(start.astimezone(UTC) + timedelta(minutes=minutes), zone=paris, quiet_hours=[NIGHT])
        assert block is not None
        assert block.until is not None
        ends.add(block.until.astimezone(paris).strftime("%d %H:%M"))
    assert len(ends) == 1
    assert ends.pop().endswith("08:00")


def test_what_waited_is_spread_but_never_into_closed_hours() -> None:
    value = DeliveryRules.model_validate({"send_windows": [{"name": "short", "start": "09:00", "end": "09:20"}]})
    schedule = hours.Schedule(value, category="", channel="sms", zone=SHANGHAI)
    opening = at("2026-03-04 09:00")
    pauses = [schedule.spread(opening, minutes=240, draw=lambda share=n / 50: share) for n in range(50)]  # type: ignore[misc]
    assert max(pauses) < timedelta(minutes=20)
    assert len(set(pauses)) > 20


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+8613812345678", "Asia/Shanghai"),
        ("+12125550123", "America/New_York"),
        ("+61412345678", "Australia/Sydney"),
        ("+819012345678", "Asia/Tokyo"),
        ("+80012345678", "UTC"),
    ],
)
def test_a_phone_number_tells_its_time_zone(number: str, zone: str) -> None:
    assert zones.of_phone(number, "UTC") == zone


def test_the_zone_that_came_with_the_message_goes_before_all_others() -> None:
    def zone(channel: str, recipient: str, named: str) -> str:
        return hours.zone_of(channel=channel, recipient=recipient, named=named, default="Europe/Paris").key

    assert zone("sms", "+8613812345678", "") == "Asia/Shanghai"
    assert zone("sms", "+8613812345678", "America/Lima") == "America/Lima"
    assert zone("email", "ada@example.com", "") == "Europe/Paris"
    assert zone("email", "ada@example.com", "Asia/Tokyo") == "Asia/Tokyo"


@pytest.mark.parametrize(
    "value",
    [
        {"default_time_zone": "Mars/Olympus"},
        {"default_time_zone": "../../etc/passwd"},
        {"quiet_hours": [NIGHT, NIGHT]},
        {"frequency": [{"name": "a"}, {"name": "a"}]},
        {"quiet_hours": [{**NIGHT, "days": [8]}]},
        {"quiet_hours": [{**NIGHT, "start": "25:00"}]},
        {"frequency": [{"name": "a", "category": "Not Lower"}]},
    ],
)
def test_rules_that_make_no_sense_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeliveryRules.model_validate(value)


# --- cost, figures, intake -------------------------------------------------------------------------------------------


def watched(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """About how many messages the counters are asked, each time."""
    queries: list[int] = []
    real = counters.check

    def check(rows: Sequence[RuleQuery], *, now: datetime) -> list[RuleAnswer]:
        queries.append(len(rows))
        return real(rows, now=now)

    monkeypatch.setattr(counters, "check", check)
    return queries


def test_a_chunk_of_a_hundred_costs_no_more_queries_and_round_trips_than_one_of_two(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.delivery.deliver.MAX_TASK_SECONDS", 30.0)
    counted: list[tuple[int, int]] = []
    scripts = watched(monkeypatch)
    rules: dict[str, Any] = {
        "duplicates": {"is_enabled": True},
        "frequency": [{"name": f"cap-{n}", "most": 100_000} for n in range(3)],
        "quiet_hours": [{"name": "none", "category": "other"}],
    }
    for size in (1, 2, 100):  # the first one fills the memories of the process
        rows = [queued(tenant, is_sandbox=True, body=f"{size} {n}", category="marketing") for n in range(size)]
        with delivery_rules.set(**rules), CaptureQueriesContext(connection) as queries:
            before = redis.client().info("commandstats").get("cmdstat_eval", {"calls": 0})["calls"]
            deliver([row.pk for row in rows])
            after = redis.client().info("commandstats")["cmdstat_eval"]["calls"]
        assert {reload(row).status for row in rows} == {Status.SENT}
        lookups = [q["sql"] for q in queries.captured_queries if "messaging_suppression" in q["sql"]]
        assert len(lookups) == 1
        counted.append((len(lookups), after - before))
    assert counted[1] == counted[2]
    assert scripts == [1, 2, 100]


def test_without_rules_no_counter_is_asked(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = watched(monkeypatch)
    message = queued(tenant)
    deliver([message.pk])
    assert (reload(message).status, queries) == (Status.SENT, [0])


def test_decisions_are_counted_live(tenant: Any, gateway: Gateway) -> None:
    make_suppression(tenant, "+8613812345678")
    held, put_off = queued(tenant), queued(tenant, recipient="+8613812345679")
    with delivery_rules.set(quiet_hours=[{"name": "always", **ALL_DAY}]):
        deliver([held.pk, put_off.pk])
    series = statistics.realtime(tenant_id=tenant.pk, now=timezone.now() + timedelta(seconds=1))["series"]
    assert {name: sum(second[name] for second in series) for name in ("suppressed", "deferred", "sent")} == {
        "suppressed": 1,
        "deferred": 1,
        "sent": 0,
    }


def test_category_and_time_zone_come_with_the_message_or_from_the_template() -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    template = make_template(tenant, name="sale", body="Buy", variables=[])
    template.category = "marketing"
    template.save()
    base = {"channel": "sms", "recipient": "+8613812345678"}
    api.post("/api/messages/", {**base, "template": "sale", "time_zone": "Asia/Tokyo"})
    api.post("/api/messages/", {**base, "template": "sale", "category": "notice"})
    rows = [{"recipient": "+8613812345678", "time_zone": "Asia/Tokyo"}, {"recipient": "+8613812345679"}]
    batch = {"channel": "sms", "body": "Hi", "category": "code", "time_zone": "Europe/Paris", "recipients": rows}
    assert api.post("/api/messages/batch", batch).status_code == 202
    stored = list(Message.objects.filter(tenant=tenant).order_by("pk").values_list("category", "time_zone"))
    assert stored == [("marketing", "Asia/Tokyo"), ("notice", ""), ("code", "Asia/Tokyo"), ("code", "Europe/Paris")]
    for wrong in ({"category": "Loud Words"}, {"time_zone": "Mars/Olympus"}):
        answer = api.post("/api/messages/", {**base, "body": "Hi", **wrong})
        assert (answer.status_code, [e["field"] for e in answer.json()["errors"]]) == (422, list(wrong))
    close_committer()


def test_a_suppressed_message_stays_suppressed_when_somebody_sends_again_what_failed(tenant: Any) -> None:
    row = make_message(tenant, status=Status.SUPPRESSED)
    assert operate.retry_messages(ids=[row.pk], by=TESTER, now=timezone.now()) == 0
