"""The pages of the alarms: seen with the right to view the configuration, acted on with the right to edit it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, ConfigRight, User
from monitor.alarms import samples
from monitor.alarms.configuration import alarms
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm, AlarmNotice, Silence
from posthaste.lib import redis
from posthaste.ui import paginator
from tests.builders import configure, make_key, make_tenant
from tests.monitor.alarms.rules import receiver, rule

pytestmark = pytest.mark.django_db


def staff(right: str, name: str = "ada") -> Client:
    client = Client()
    client.force_login(User.objects.create(username=name, is_staff=True, config_right=right))
    return client


def make_alarm(name: str = "backlog", **fields: Any) -> Alarm:
    now = timezone.now()
    values = {"phase": Phase.FIRING, "state": AlarmState.FIRING, "metric": "due_messages", "group": name, "severity": "critical"}
    times = {"since": now, "started_at": now, "fired_at": now}
    return Alarm.objects.create(rule=name, **values | times | fields)


@pytest.fixture(autouse=True)
def _rules() -> None:
    configure(alarms, rules=[rule(), rule("disk")], receivers=[receiver()])


def listed(client: Client, **query: str) -> list[str]:
    """Return the alarms of a list in their order."""
    content = client.get(reverse("alarms"), query).content.decode()
    return re.findall(r'<a class="name" href="/alarms/[0-9a-f-]+/">([^<]+)</a>', content)


def test_the_list_shows_what_fires_first_and_filters() -> None:
    make_alarm("disk", phase=Phase.RESOLVED, state=AlarmState.RESOLVED, resolved_at=timezone.now())
    make_alarm()
    make_alarm("disk", series="host=a", severity="info")
    client = staff(ConfigRight.VIEW)
    assert listed(client) == ["Backlog too large", "disk · host=a", "disk"]
    assert listed(client, state="resolved") == ["disk"]
    assert listed(client, severity="info") == ["disk · host=a"]
    assert listed(client, q="DISK", state="firing") == ["disk · host=a"]
    assert listed(client, q="host=") == ["disk · host=a"]
    assert listed(client, state="none", severity="none", after="nonsense", q="\0") == ["Backlog too large", "disk · host=a", "disk"]
    assert "No alarm fits these filters." in client.get(reverse("alarms"), {"q": "nothing"}).content.decode()


def test_a_built_in_rule_has_its_title_on_every_page_and_is_found_by_it() -> None:
    configure(alarms, rules=[rule("redis-away", metric="up"), rule("ours", inhibited_by=["redis-away"])])
    alarm, client, now = make_alarm("ours", inhibited_by="redis-away"), staff(ConfigRight.EDIT), timezone.now()
    other = make_alarm("redis-away", metric="up")
    made = {"starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1), "comment": "Planned", "created_at": now}
    Silence.objects.create(rules=["redis-away", "ours"], **made, created_by="user:ada")
    assert listed(client, q="s unav") == listed(client, q="redis-") == ["Redis unavailable"]
    pages = {name: client.get(reverse(name)).content.decode() for name in ("alarms", "alarm-silences")}
    assert "not sent because of Redis unavailable" in pages["alarms"]
    assert "Silenced: Redis unavailable, ours" in pages["alarms"]
    assert "Redis unavailable, ours" in pages["alarm-silences"]
    assert '<option value="redis-away">Redis unavailable</option>' in pages["alarm-silences"]
    assert "Not sent while Redis unavailable is active" in client.get(reverse("alarm", args=[alarm.pk])).content.decode()
    page = client.get(reverse("alarm", args=[other.pk])).content.decode()
    assert "<h1>Redis unavailable" in page
    assert "<code>redis-away</code>" in page, "the name that the configuration and the runbook have"


def test_a_key_that_acknowledged_is_named() -> None:
    key = make_key(make_tenant(is_operator=True), name="Pager")[0]
    alarm = make_alarm(state=AlarmState.ACKNOWLEDGED, acknowledged_at=timezone.now(), acknowledged_by=f"key:{key.prefix}")
    client = staff(ConfigRight.VIEW)
    assert "Pager · API key" in client.get(reverse("alarms")).content.decode()
    assert "Pager · API key" in client.get(reverse("alarm", args=[alarm.pk])).content.decode()
    assert "Acknowledged by Pager" in client.get(reverse("admin:index")).content.decode()


def test_filters_are_chips_that_keep_each_other_and_the_search() -> None:
    make_alarm()
    page = staff(ConfigRight.VIEW).get(reverse("alarms"), {"state": "firing", "q": "back"}).content.decode()
    assert 'href="?state=firing&amp;q=back&amp;severity=critical"' in page
    assert "Firing (1)" in page
    assert '<input type="hidden" name="state" value="firing">' in page


def test_what_is_over_comes_by_pages_and_what_is_open_stays_on_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "PAGE_SIZE", 2)
    for number in range(5):
        make_alarm("disk", series=str(number), phase=Phase.RESOLVED, state=AlarmState.RESOLVED, resolved_at=timezone.now())
    make_alarm()
    client = staff(ConfigRight.VIEW)
    seen, address = [], reverse("alarms")
    for _page in range(3):
        content = client.get(address).content.decode()
        seen.append(re.findall(r'<a class="name" href="/alarms/[0-9a-f-]+/">([^<]+)</a>', content))
        if older := re.search(r'href="(\?[^"]*)"[^>]*>Older', content):
            address = reverse("alarms") + older[1].replace("&amp;", "&")
    assert seen == [["Backlog too large", "disk · 4", "disk · 3"], ["disk · 2", "disk · 1"], ["disk · 0"]]
    newer = re.search(r'href="(\?[^"]*)"[^>]*>Newer', content)
    assert newer
    assert listed(client, **dict([newer[1].lstrip("?").split("=")])) == ["disk · 2", "disk · 1"]


def test_the_list_is_exported_with_its_filters() -> None:
    make_alarm("disk")
    make_alarm("backlog", series="=cmd()", value=1.5)
    answer = staff(ConfigRight.VIEW).get(reverse("alarms"), {"csv": "", "q": "backlog"})
    lines = answer.getvalue().decode().splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert len(lines) == 2
    assert lines[1].startswith("Backlog too large,'=cmd(),due_messages,Critical,Firing,,1.5,")


def test_an_empty_list_says_that_all_is_well_and_that_nobody_is_notified() -> None:
    configure(alarms, receivers=[])
    page = staff(ConfigRight.VIEW).get(reverse("alarms")).content.decode()
    assert "All is well: no alarm yet." in page
    assert "Alarms are not sent" in page


def test_an_alarms_page_plots_its_metric_and_names_its_notices() -> None:
    alarm = make_alarm()
    samples.write({("backlog", ""): 120.0}, now=timezone.now())
    notice = AlarmNotice.objects.create(
        receiver="ops", kind="email", recipient="o***@example.com", severity="critical", subject="It burns", body="", state="sent",
        way="platform", created_at=timezone.now(),
    )  # fmt: skip
    alarm.lines.create(notice=notice, receiver="ops", kind="firing")
    page = staff(ConfigRight.VIEW).get(reverse("alarm", args=[alarm.pk])).content.decode()
    assert "<polyline" in page
    assert "It burns" in page
    assert "Acknowledge</button>" not in page


def test_an_alarm_is_acknowledged_taken_back_and_silenced_and_all_of_it_is_in_the_audit_trail() -> None:
    alarm, client = make_alarm(), staff(ConfigRight.EDIT)
    address = reverse("alarm", args=[alarm.pk])
    assert client.post(address, {"action": "acknowledge", "comment": "mine"}).status_code == 302
    alarm.refresh_from_db()
    assert (alarm.state, alarm.acknowledged_by) == (AlarmState.ACKNOWLEDGED, "user:ada")
    user = User.objects.get(username="ada")
    user.first_name, user.last_name = "Ada", "Lovelace"
    user.save()
    assert "Ada Lovelace" in client.get(address).content.decode()
    assert "Ada Lovelace" in client.get(reverse("alarms")).content.decode()
    assert "can&#x27;t be acknowledged" in client.post(address, {"action": "acknowledge"}, follow=True).content.decode()
    client.post(address, {"action": "reopen"})
    client.post(address, {"action": "silence", "minutes": "30", "comment": "known"})
    assert Silence.objects.get().rules == ["backlog"]
    assert "Say why" in client.post(address, {"action": "silence", "minutes": "30", "comment": " "}, follow=True).content.decode()
    assert client.post(address, {"action": "silence", "minutes": "31", "comment": "x"}).status_code == 404
    assert client.post(address, {"action": "explode"}).status_code == 404
    entries = AuditEntry.objects.order_by("id").values_list("actor", "action")
    assert list(entries) == [("user:ada", "alarm.acknowledge"), ("user:ada", "alarm.reopen"), ("user:ada", "alarm.silence")]


def test_a_maintenance_window_is_planned_and_ended() -> None:
    client, address = staff(ConfigRight.EDIT), reverse("alarm-silences")
    body = {"rules": ["disk"], "ends_at": "2999-01-01T00:00", "comment": "New disks", "is_maintenance": "1", "announce_minutes": "60"}
    refused = client.post(address, body)
    assert refused.status_code == 422
    assert "Must be within a year of the start." in refused.content.decode()
    body |= {"starts_at": "2998-12-01T00:00"}
    assert client.post(address, body).status_code == 302
    silence = Silence.objects.get()
    assert (silence.is_maintenance, silence.announce_minutes, silence.rules) == (True, 60, ["disk"])
    assert "New disks" in client.get(address).content.decode()
    assert client.post(address, {"end": str(silence.pk)}).status_code == 302
    assert Silence.objects.get().ended_by == "user:ada"
    assert client.post(address, {"end": "nonsense"}).status_code == 404
    for wrong in ({"ends_at": ""}, {"ends_at": "soon"}, {"rules": ["none"]}, {"announce_minutes": "x"}, {"comment": ""}):
        assert client.post(address, body | wrong).status_code == 422, wrong


def test_the_times_of_a_silence_are_those_of_the_readers_zone() -> None:
    client, address = staff(ConfigRight.EDIT), reverse("alarm-silences")
    body = {"starts_at": "2998-01-10T09:00", "ends_at": "2998-01-10T10:30", "comment": "work", "zone": "Asia/Shanghai"}
    assert client.post(address, body).status_code == 302
    client.post(address, body | {"zone": "no/such/zone"})
    shanghai, utc = Silence.objects.order_by("id")
    assert (shanghai.starts_at.isoformat(), shanghai.ends_at.isoformat()) == ("2998-01-10T01:00:00+00:00", "2998-01-10T02:30:00+00:00")
    assert utc.starts_at.isoformat() == "2998-01-10T09:00:00+00:00"
    for wrong in ("9999-12-31T23:59", "0001-01-01T00:00"):
        assert client.post(address, body | {"ends_at": wrong, "starts_at": "", "zone": "America/New_York"}).status_code == 422


def test_what_is_wrong_with_a_silence_stands_under_its_field_and_what_was_typed_stays() -> None:
    client, address = staff(ConfigRight.EDIT), reverse("alarm-silences")
    page = client.post(
        address, {"rules": ["disk"], "ends_at": "2998-01-10T10:30", "comment": " ", "announce_minutes": "5"}
    ).content.decode()
    below = page.partition('id="comment"')[2]
    assert below.index("Say why") < below.index("is_maintenance")
    assert '<option value="disk" selected>' in page
    assert 'value="2998-01-10T10:30"' in page


def test_a_test_notice_is_sent_from_the_page_of_the_receivers() -> None:
    client, address = staff(ConfigRight.EDIT), reverse("alarm-receivers")
    assert "o***@example.com" in client.get(address).content.decode()
    assert client.post(address, {"receiver": "ops"}).status_code == 302
    assert AlarmNotice.objects.get().receiver == "ops"
    assert "There is no receiver none." in client.post(address, {"receiver": "none"}, follow=True).content.decode()


def test_who_may_only_look_changes_nothing_and_a_stranger_sees_nothing() -> None:
    alarm, looking = make_alarm(), staff(ConfigRight.VIEW)
    places = [reverse("alarms"), reverse("alarm", args=[alarm.pk]), reverse("alarm-silences"), reverse("alarm-receivers")]
    assert [looking.get(place).status_code for place in places] == [200] * 4
    assert [looking.post(place, {"action": "acknowledge"}).status_code for place in places] == [405, 403, 403, 403]
    eve = staff(ConfigRight.NONE, "eve")
    assert [eve.get(place).status_code for place in places] == [403] * 4
    assert [Client().get(place).status_code for place in places] == [302] * 4
    assert looking.get(reverse("alarm", args=["0192f0c1-a2b3-7c4d-8e9f-001122334455"])).status_code == 404


def test_without_redis_an_alarms_page_says_that_its_metric_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_kwargs: object) -> None:
        raise redis.Unavailable("away")

    monkeypatch.setattr(samples, "read", away)
    page = staff(ConfigRight.VIEW).get(reverse("alarm", args=[make_alarm().pk])).content.decode()
    assert "Unknown while Redis is unavailable." in page


@pytest.mark.parametrize("comment", ["nul\0byte", "x" * 501])
def test_a_comment_that_can_not_be_stored_whole_is_refused_with_its_field(comment: str) -> None:
    client, alarm, address = staff(ConfigRight.EDIT), make_alarm(), reverse("alarm-silences")
    ends_at = f"{timezone.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    refused = client.post(address, {"comment": comment, "ends_at": ends_at})
    assert refused.status_code == 422
    assert not Silence.objects.exists()
    for action in ("acknowledge", "silence"):
        client.post(reverse("alarm", args=[alarm.pk]), {"action": action, "minutes": "30", "comment": comment})
    alarm.refresh_from_db()
    assert alarm.acknowledged_at is None
    assert not Silence.objects.exists()


@pytest.mark.parametrize("name", ["alarm-silences", "alarm-receivers"])
def test_no_page_takes_typed_text_that_postgresql_can_not_store(name: str) -> None:
    refused = staff(ConfigRight.EDIT).post(reverse(name), {"anything": "nul\0byte"})
    assert refused.status_code == 422
    assert "NUL" in refused.content.decode()
