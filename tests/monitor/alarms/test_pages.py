"""The pages of the alarms: seen with the right to view the configuration, acted on with the right to edit it."""

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
from tests.builders import configure
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


def test_the_list_shows_what_fires_first_and_filters() -> None:
    make_alarm("disk", phase=Phase.RESOLVED, state=AlarmState.RESOLVED, resolved_at=timezone.now())
    make_alarm()
    client = staff(ConfigRight.VIEW)
    page = client.get(reverse("alarms")).content.decode()
    assert page.index(">backlog") < page.index(">disk")
    page = client.get(reverse("alarms"), {"state": "resolved"}).content.decode()
    assert ">disk" in page
    assert reverse("alarm", args=[Alarm.objects.get(rule="backlog").pk]) not in page
    assert "No alarm fits these filters." in client.get(reverse("alarms"), {"rule": "nothing"}).content.decode()
    assert client.get(reverse("alarms"), {"page": "nonsense", "state": "none"}).status_code == 200


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
