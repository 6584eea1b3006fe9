"""What needs attention: the loudest first, five at most, and a check that raises breaks nothing."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from messaging.models import BatchStatus, DisabledCode, Status
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm
from posthaste.ui import attention
from posthaste.ui.attention import Check, Notice, Reader, Severity
from tests.builders import make_batch, make_endpoint, make_message, make_tenant

pytestmark = pytest.mark.django_db
Add = Callable[[Check], None]


@pytest.fixture
def add() -> Iterator[Add]:
    """Register checks for the length of a test, in place of the real ones."""
    kept, attention._checks = attention._checks, {}

    def register(check: Check) -> None:
        attention.attention(f"check {len(attention._checks)}", title=f"title {len(attention._checks)}")(check)

    yield register
    attention._checks = kept


def reader() -> Reader:
    return Reader(user=User(username="ann"), tenant_ids=[], is_everything=True, now=timezone.now())


def told(*severities: Severity) -> Check:
    return lambda _reader: [Notice(severity, severity.name, "/") for severity in severities]


def test_the_loudest_come_first_and_the_rest_is_counted(add: Add) -> None:
    add(told(*[Severity.NOTE] * 4))
    add(told(Severity.WARNING, Severity.CRITICAL))
    state = attention.ask(reader())
    assert [notice.text for notice in state.notices] == ["CRITICAL", "WARNING", "NOTE", "NOTE", "NOTE"]
    assert (state.more, state.failed, state.is_well) == (1, [], False)


def test_a_check_that_raises_is_named_and_the_others_are_told(add: Add) -> None:
    def broken(_reader: Reader) -> list[Notice]:
        raise ZeroDivisionError

    add(told(Severity.NOTE))
    add(broken)
    state = attention.ask(reader())
    assert [notice.text for notice in state.notices] == ["NOTE"]
    assert state.failed == ["title 1"]


def test_all_is_well_only_where_every_check_has_answered(add: Add) -> None:
    assert attention.ask(reader()).is_well
    add(lambda _reader: 1 / 0)  # type: ignore[arg-type, return-value]
    assert not attention.ask(reader()).is_well


def overview(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.get(reverse("admin:index")).content.decode()


def member(name: str, *tenants: Tenant) -> User:
    user = User.objects.create(username=name, is_staff=True)
    for tenant in tenants:
        Member.objects.create(user=user, tenant=tenant, role=Role.VIEWER)
    return user


def test_the_overview_says_that_all_is_well_or_what_is_not_and_where_to_act() -> None:
    tenant = make_tenant()
    user = member("vera", tenant)
    assert "All is well" in overview(user)
    now = timezone.now()
    make_batch(tenant, status=BatchStatus.PAUSED)
    make_message(tenant, status=Status.FAILED, error_code="http_503", finished_at=now)
    make_endpoint(tenant, is_enabled=False, disabled_code=DisabledCode.GONE, disabled_at=now)
    shown = overview(user)
    assert "All is well" not in shown
    assert "1 batch is paused." in shown
    assert "1 message ended with the error http_503" in shown
    assert "state=dead&amp;error=http_503" in shown
    assert "was disabled." in shown
    assert "The receiver answered 410 Gone." in shown


def test_the_overview_tells_nothing_of_other_tenants() -> None:
    theirs = make_tenant("Theirs")
    make_batch(theirs, status=BatchStatus.PAUSED)
    make_message(theirs, status=Status.FAILED, error_code="their_code", finished_at=timezone.now())
    make_endpoint(theirs, is_enabled=False, disabled_code=DisabledCode.FAILING, disabled_at=timezone.now())
    assert "All is well" in overview(member("otto", make_tenant("Own")))


def test_failures_that_are_long_over_need_no_attention() -> None:
    tenant = make_tenant()
    make_message(tenant, status=Status.FAILED, error_code="http_503", finished_at=timezone.now() - timedelta(hours=1))
    assert "All is well" in overview(member("vera", tenant))


def test_an_alarm_that_fires_is_told_to_operators_with_its_page() -> None:
    now = timezone.now()
    values = {"phase": Phase.FIRING, "state": AlarmState.FIRING, "metric": "due_messages", "group": "backlog", "severity": "critical"}
    alarm = Alarm.objects.create(rule="backlog", **values, since=now, started_at=now, fired_at=now)
    shown = overview(User.objects.create(username="root", is_staff=True, is_superuser=True))
    assert reverse("alarm", args=[alarm.pk]) in shown
    assert "Open the alarm" in shown
    assert "All is well" in overview(member("otto", make_tenant()))  # alarms are the installation's
