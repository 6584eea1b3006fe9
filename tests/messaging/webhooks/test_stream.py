"""The stream of events for those who fetch them, and what is removed from it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from accounts.services import audit
from messaging.models import Event, EventRecording, WebhookDelivery, WebhookEndpoint
from messaging.webhooks import cleaning, endpoints, events, reading
from messaging.webhooks.events import EventsGone, NotRecorded, Page, PositionAhead
from posthaste.lib import late_writes
from tests.builders import TESTER, make_message, make_tenant
from tests.messaging.webhooks.hooks import end, make_endpoint, recorded, sent, turn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
PUBLIC = "https://93.184.216.34/hooks"


def after(tenant: Tenant, position: int = 0, **options: object) -> Page:
    recorded(tenant)
    found: dict[str, object] = {"limit": 100, **options}
    return events.after(tenant_id=tenant.pk, position=position, now=timezone.now(), **found)  # type: ignore[arg-type]


def opened(name: str = "Acme") -> Tenant:
    tenant = make_tenant(name)
    events.open_stream(tenant_id=tenant.pk, by=TESTER, now=timezone.now())
    return tenant


def test_a_recording_never_begins_without_its_entry_in_the_audit_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(**_entry: object) -> None:
        raise KeyboardInterrupt  # as when the process is ended there

    monkeypatch.setattr(audit, "record", ends)
    tenant = make_tenant()
    with pytest.raises(KeyboardInterrupt):
        events.open_stream(tenant_id=tenant.pk, by=TESTER, now=timezone.now())
    assert not EventRecording.objects.filter(tenant_id=tenant.pk).exists()


def test_a_stream_is_recorded_from_when_it_is_opened_and_reading_writes_nothing() -> None:
    tenant = make_tenant()
    sent(tenant)
    for _reading in range(2):
        with pytest.raises(NotRecorded):
            after(tenant)
    assert not EventRecording.objects.exists()
    start = events.open_stream(tenant_id=tenant.pk, by=TESTER, now=timezone.now())
    assert events.open_stream(tenant_id=tenant.pk, by=TESTER, now=timezone.now()) == start
    assert list(AuditEntry.objects.values_list("action", "tenant_id")) == [("events.record", tenant.pk)], "once"
    assert after(tenant, start).events == []
    (row,) = sent(tenant)
    sent(make_tenant())
    assert [event["data"]["id"] for event in after(tenant).events] == [str(row.pk)]


def test_pages_follow_each_other_without_gap_or_repetition() -> None:
    tenant = opened()
    after(tenant)
    rows = sent(tenant, 7)
    found: list[str] = []
    position = 0
    while page := after(tenant, position, limit=3).events:
        found += [event["data"]["id"] for event in page]
        position = after(tenant, position, limit=3).next
    assert sorted(found) == sorted(str(row.pk) for row in rows)
    assert after(tenant, position).next == position


def test_types_and_sandbox_are_filtered_and_the_next_position_passes_what_was_left_out() -> None:
    tenant = opened()
    after(tenant)
    sent(tenant, 2)
    end([make_message(tenant)], "failed", error_code="http_400")
    sent(tenant, is_sandbox=True)
    everything = after(tenant)
    failed = after(tenant, types=["message.failed"])
    assert [event["type"] for event in failed.events] == ["message.failed"]
    assert failed.next == everything.next
    assert [event["data"]["is_sandbox"] for event in after(tenant, is_sandbox=True).events] == [True]
    assert len(after(tenant, is_sandbox=False).events) == 3
    assert len(after(tenant, types=["message.*"]).events) == 4


def test_a_position_beyond_the_end_is_refused_with_the_last_one() -> None:
    tenant = opened()
    after(tenant)
    sent(tenant, 3)
    last = after(tenant).next
    sent(make_tenant(), 2)
    for position in (last + 1, last + 1_000, 2**63 - 1):
        with pytest.raises(PositionAhead) as caught:
            after(tenant, position)
        assert caught.value.extra["after"] == last
    assert after(tenant, last).events == []
    assert len(after(tenant, last - 1).events) == 1


def test_the_position_of_events_that_were_all_removed_is_no_position_beyond_the_end() -> None:
    tenant = opened()
    after(tenant)
    sent(tenant, 2)
    old(tenant, 2)
    last = after(tenant).next
    cleaning.remove_old_events(now=timezone.now())
    assert (recorded(tenant), after(tenant, last).next) == ([], last)
    with pytest.raises(PositionAhead):
        after(tenant, last + 1)


def test_a_rare_type_is_found_behind_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WINDOW", 4)
    tenant = opened()
    after(tenant)
    sent(tenant, 10)
    end([make_message(tenant)], "failed", error_code="http_400")
    assert [event["type"] for event in after(tenant, types=["message.failed"], limit=1).events] == ["message.failed"]


def old(tenant: Tenant, number: int) -> list[Event]:
    """Let the first so many events of a tenant be older than they are kept."""
    rows = recorded(tenant)[:number]
    Event.objects.filter(pk__in=[row.pk for row in rows]).update(occurred_at=timezone.now() - timedelta(days=7, hours=1))
    return rows


def test_old_events_are_removed_and_a_reader_who_missed_some_is_told_where_to_go_on() -> None:
    tenant = opened()
    start = after(tenant).next
    sent(tenant, 6)
    gone = old(tenant, 4)
    assert cleaning.remove_old_events(now=timezone.now()) == 4
    assert len(after(tenant, start).events) == 2  # 0 stands for the oldest that is kept
    with pytest.raises(EventsGone) as caught:
        after(tenant, gone[1].position)
    assert caught.value.extra == {"after": gone[-1].position}
    assert len(after(tenant, caught.value.extra["after"]).events) == 2


def test_old_entries_of_the_log_are_removed() -> None:
    tenant = make_tenant()
    endpoint = make_endpoint(tenant, "https://hooks.not-there.invalid/")
    sent(tenant)
    turn(endpoint)
    WebhookDelivery.objects.update(at=F("at") - timedelta(days=8))
    endpoints.send_test(endpoint=endpoint, by=TESTER, now=timezone.now())
    cleaning.remove_old_events(now=timezone.now())
    assert list(WebhookDelivery.objects.values_list("kind", flat=True)) == ["test"]


def test_a_stream_that_was_not_read_for_a_week_is_recorded_no_more_and_says_so_later() -> None:
    tenant, other = opened(), make_tenant()
    after(tenant)
    sent(tenant)
    position = after(tenant).next
    make_endpoint(other, PUBLIC)
    EventRecording.objects.filter(tenant=tenant).update(read_at=timezone.now() - timedelta(days=8))
    cleaning.remove_old_events(now=timezone.now())
    assert list(EventRecording.objects.values_list("tenant_id", flat=True)) == [other.pk]
    sent(other)
    recorded(other)
    with pytest.raises(NotRecorded):
        after(tenant, position)
    events.open_stream(tenant_id=tenant.pk, by=TESTER, now=timezone.now())
    with pytest.raises(EventsGone):
        after(tenant, position)
    (row,) = sent(tenant)
    missing = EventRecording.objects.get(tenant=tenant).missing_until
    assert [event["data"]["id"] for event in after(tenant, missing).events] == [str(row.pk)]


def refuse_updates(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    assert not sql.startswith("UPDATE"), sql
    return execute(sql, params, many, context)


def test_a_reader_keeps_the_recording_alive() -> None:
    tenant = opened()
    after(tenant)
    EventRecording.objects.filter(tenant=tenant).update(read_at=timezone.now() - timedelta(days=6))
    with connection.execute_wrapper(refuse_updates):
        after(tenant)  # by a request, which writes nothing
    late_writes.flush()
    cleaning.remove_old_events(now=timezone.now() + timedelta(days=2))
    assert EventRecording.objects.filter(tenant=tenant).exists()


def test_a_secret_that_was_replaced_is_removed_when_its_time_is_up() -> None:
    tenant = make_tenant()
    endpoint = make_endpoint(tenant, PUBLIC)
    endpoints.rotate_secret(endpoint=endpoint, by=TESTER, now=timezone.now())
    cleaning.remove_old_events(now=timezone.now() + timedelta(hours=25))
    found = WebhookEndpoint.objects.get(pk=endpoint.pk)
    assert (found.previous_secret, found.previous_secret_until) == ("", None)
