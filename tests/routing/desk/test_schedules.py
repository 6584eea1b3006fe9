"""Reports that are sent by e-mail: at their hour, each once, changed only by those who lead the desk."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.intake.accept import accept_message
from messaging.models import Message
from posthaste.ui.attention import Reader
from routing import attention
from routing.desk.reports import report as written
from routing.desk.reports import schedules, sending
from routing.models import ReportSchedule
from tests.builders import TESTER, make_api, make_tenant
from tests.crowds import at_once
from tests.routing.desk.figure_builders import make_answered, make_leader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

#: A Monday.
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def make_schedule(tenant: Tenant, *, now: datetime = NOW, **fields: Any) -> ReportSchedule:
    made = {"report": "day", "recipients": ["lea@example.com", "max@example.com"], "time_zone": "Asia/Shanghai", "hour": 8, **fields}
    return schedules.create_schedule(schedule=ReportSchedule(tenant=tenant, **made), by=TESTER, now=now)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, datetime(2026, 5, 5, 0, 0, tzinfo=UTC)),
        ({"weekday": 1, "hour": 21}, datetime(2026, 5, 4, 13, 0, tzinfo=UTC)),
        ({"weekday": 1, "hour": 20}, datetime(2026, 5, 11, 12, 0, tzinfo=UTC)),
        ({"time_zone": "Europe/Berlin", "hour": 15}, datetime(2026, 5, 4, 13, 0, tzinfo=UTC)),
    ],
)
def test_a_schedule_is_due_at_its_hour_in_its_own_zone(fields: dict[str, Any], expected: datetime, tenant: Tenant) -> None:
    assert make_schedule(tenant, **fields).next_at == expected


def test_an_hour_that_a_day_lacks_is_made_up_for_and_one_that_comes_twice_counts_once(tenant: Tenant) -> None:
    row = ReportSchedule(tenant=tenant, time_zone="Europe/Berlin", hour=2)
    assert schedules.next_time(row, after=datetime(2026, 3, 29, 0, 0, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    first = schedules.next_time(row, after=datetime(2026, 10, 24, 12, 0, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert schedules.next_time(row, after=first) == datetime(2026, 10, 26, 1, 0, tzinfo=UTC)


def test_what_is_due_is_sent_once_by_two_at_once_and_once_for_days_without_anyone(tenant: Tenant) -> None:
    row = make_schedule(tenant, language="zh-hans")
    make_answered(tenant, at=NOW + timedelta(days=2), after_seconds=180)
    late = NOW + timedelta(days=3)
    looks: list[Callable[[], int]] = [lambda: sending.send_due(now=late)] * 3
    assert sum(at_once(*looks)) == 1
    assert sending.send_due(now=late) == 0
    found = list(Message.objects.filter(reference=str(row.pk)).order_by("recipient"))
    assert [message.recipient for message in found] == ["lea@example.com", "max@example.com"]
    assert "/desk/reports/?tenant=" in found[0].body
    assert "csv=1" in found[0].body
    (file,) = found[0].metadata["mail"]["files"]
    assert (file["name"], len(file["text"].splitlines())) == ("desk-day-2026-04-30-2026-05-06.csv", 9), "heads, seven days, all together"
    row.refresh_from_db()
    assert (row.last_at, row.next_at) == (late, datetime(2026, 5, 8, 0, 0, tzinfo=UTC))


def test_a_table_that_is_too_large_for_an_email_is_a_link_only(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    make_schedule(tenant)
    monkeypatch.setattr(sending, "MAX_CHARACTERS", 100)
    assert sending.send_due(now=NOW + timedelta(days=1)) == 1
    message = Message.objects.first()
    assert message is not None
    assert ("mail" in message.metadata, "csv=1" in message.body) == (False, True)


def test_a_report_that_cannot_be_written_keeps_its_turn_and_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    make_schedule(tenant)
    other = make_schedule(make_tenant("Other"))

    def accept(row: Any, **options: Any) -> Any:
        if row.tenant_id == tenant.pk and row.recipient == "max@example.com":
            raise ValueError("broken")
        return accept_message(row, **options)

    monkeypatch.setattr(sending, "accept_message", accept)
    due = NOW + timedelta(days=1)
    assert sending.send_due(now=due) == 1
    assert set(Message.objects.values_list("reference", flat=True)) == {str(other.pk)}
    monkeypatch.undo()
    assert [sending.send_due(now=due + sending.BACK_OFF[0] - timedelta(seconds=1)), sending.send_due(now=due + sending.BACK_OFF[0])] == [
        0,
        1,
    ]
    assert Message.objects.count() == 4


def test_many_schedules_that_always_fail_hold_up_none_that_is_due_later(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "AT_ONCE", 3)
    broken = [make_schedule(make_tenant(f"Broken {number}")) for number in range(4)]
    good = make_schedule(tenant, hour=9)
    whole = written.report

    def report(tenant_id: int, **options: Any) -> Any:
        if tenant_id != tenant.pk:
            raise RuntimeError("broken")
        return whole(tenant_id, **options)

    monkeypatch.setattr(sending, "report", report)
    due = NOW + timedelta(days=1)
    assert [sending.send_due(now=due) for _time in range(3)] == [0, 1, 0]
    good.refresh_from_db()
    assert (good.failures, good.last_error) == (0, "")
    row = ReportSchedule.objects.get(pk=broken[0].pk)
    assert (row.failures, row.last_error, row.failing_since, row.last_at) == (1, "RuntimeError: broken", due, None)


@pytest.mark.parametrize("dies", [False, True])
def test_one_that_fails_again_and_again_is_switched_off_and_told_of(
    tenant: Tenant, client: Client, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    row = make_schedule(tenant)

    def report(*_arguments: Any, **_options: Any) -> Any:
        raise SystemExit if dies else RuntimeError("broken")

    monkeypatch.setattr(sending, "report", report)
    at = NOW + timedelta(days=1)
    for _time in range(sending.MAX_FAILURES + 1):
        with suppress(SystemExit):
            sending.send_due(now=at)
        at += sending.BACK_OFF[-1]
    row.refresh_from_db()
    assert (row.is_active, row.failures) == (False, sending.MAX_FAILURES)
    assert AuditEntry.objects.get(action="report_schedule.disable").detail["error"] == row.last_error
    client.force_login(make_leader(tenant))
    shown = client.get("/desk/reports/schedules/").content.decode()
    assert row.last_error in shown
    address = f"/desk/reports/schedules/{row.pk}/"
    assert "switched off after 9 failures" in client.get(address).content.decode()
    assert make_api(tenant).get(f"/api/desk/report-schedules/{row.pk}/").json()["failures"] == 9
    reader = Reader(user=make_leader(tenant, "eva"), tenant_ids=[tenant.pk], is_everything=False, now=at)
    assert [notice.url for notice in attention.reports_switched_off(reader)] == [address]
    row.is_active = True
    schedules.change_schedule(schedule=row, fields=["is_active"], by=TESTER, now=at)
    monkeypatch.undo()
    assert sending.send_due(now=at + timedelta(days=1)) == 1


def test_what_is_switched_off_is_not_sent(tenant: Tenant) -> None:
    row = make_schedule(tenant)
    row.is_active = False
    schedules.change_schedule(schedule=row, fields=["is_active"], by=TESTER, now=NOW)
    assert sending.send_due(now=NOW + timedelta(days=9)) == 0


def test_schedules_are_added_changed_and_deleted_on_their_pages(client: Client, tenant: Tenant) -> None:
    client.force_login(make_leader(tenant))
    form = {"report": "agent", "recipients": "lea@example.com\nmax@example.com", "hour": "7", "time_zone": "Europe/Paris", "language": "en"}
    wrong = client.post("/desk/reports/schedules/", form | {"recipients": "lea", "time_zone": "Mars"})
    assert wrong.status_code == 200
    assert not ReportSchedule.objects.exists()
    assert client.post("/desk/reports/schedules/", form | {"is_active": "on"}).status_code == 302
    row = ReportSchedule.objects.get()
    assert (row.recipients, row.weekday, row.hour) == (["lea@example.com", "max@example.com"], None, 7)
    assert "lea@example.com" not in client.get("/desk/reports/schedules/").content.decode(), "a list masks what it names"
    address = f"/desk/reports/schedules/{row.pk}/"
    assert client.post(address, form | {"weekday": "5", "is_active": "on"}).status_code == 302
    row.refresh_from_db()
    assert (row.weekday, row.next_at is not None and row.next_at > timezone.now()) == (5, True)
    stranger = Client()
    stranger.force_login(make_leader(make_tenant("Other"), "sam"))
    assert stranger.get(address).status_code == 404
    assert stranger.post(address, {"verb": "delete"}).status_code == 404
    assert client.post(address, {"verb": "delete"}).status_code == 302
    actions = AuditEntry.objects.filter(action__startswith="report").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["report_schedule.create", "report_schedule.change", "report_schedule.delete"]


def test_the_api_schedules_changes_and_deletes_reports(tenant: Tenant) -> None:
    api = make_api(tenant)
    wrong = api.post("/api/desk/report-schedules/", {"recipients": ["lea"], "time_zone": "Mars"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "recipients")
    made = api.post("/api/desk/report-schedules/", {"report": "agent", "recipients": ["lea@example.com"], "time_zone": "Asia/Shanghai"})
    assert (made.status_code, made.json()["recipients"], made.json()["weekday"]) == (201, ["lea@example.com"], None)
    assert "lea@example.com" not in api.get("/api/desk/report-schedules/").content.decode(), "a list masks what it names"
    address = f"/api/desk/report-schedules/{made.json()['id']}/"
    assert api.patch(address, {"weekday": 5, "hour": 7}).json()["weekday"] == 5
    assert make_api(make_tenant("Other")).get(address).status_code == 404
    assert api.delete(address).status_code == 204
    assert not ReportSchedule.objects.exists()
