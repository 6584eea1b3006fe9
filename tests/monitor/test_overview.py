"""What the overview says first: each cause planted, told with its place to act, and only to those it concerns."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ConfigRight, Member, Tenant, User
from accounts.roles import Role
from configcenter.services import items
from messaging import selectors
from messaging.models import BatchStatus, DisabledCode, Status
from messaging.providers import breakers
from messaging.queueing import queue_statistics
from monitor.alarms.states import AlarmState, Phase
from monitor.models import Alarm
from monitor.overview import tone_of_rate
from posthaste.lib import redis
from tests.builders import TESTER, make_batch, make_endpoint, make_message, make_provider, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_measured() -> None:
    redis.client().delete(redis.key("waiting"), redis.key("drain"))


def root() -> User:
    return User.objects.get_or_create(username="root", is_staff=True, is_superuser=True)[0]


def member(tenant: Tenant) -> User:
    user = User.objects.create(username=f"member of {tenant.slug}", is_staff=True)
    Member.objects.create(user=user, tenant=tenant, role=Role.VIEWER)
    return user


def strip(user: User) -> str:
    """Return the strip at the top of the overview."""
    client = Client()
    client.force_login(user)
    shown = client.get(reverse("admin:index")).content.decode()
    return shown[shown.index('id="health"') : shown.index("</section>", shown.index('id="health"'))]


def measured(oldest_seconds: float, *, due: int = 7) -> None:
    redis.client().set(redis.key("waiting"), f"2 {due} 0", ex=60)
    queue_statistics.publish_drain(per_second=1.0, oldest_seconds=oldest_seconds, useful_threads=None)


def test_all_is_well_says_when_it_was_checked() -> None:
    measured(0)
    shown = strip(root())
    assert "All is well" in shown
    assert re.search(r'checked <time class="clock" datetime="[^"]+" title="[^"]+">\d\d:\d\d:\d\d</time>', shown)
    assert 'data-refresh="5"' in shown


def test_who_may_see_nothing_is_not_told_that_all_is_well() -> None:
    client = Client()
    client.force_login(User.objects.create(username="nadia", is_staff=True))
    shown = client.get(reverse("admin:index")).content.decode()
    assert "You are not a member of any tenant yet." in shown
    assert "All is well" not in shown


def test_an_open_breaker_is_told_with_its_page_and_a_closed_one_is_not() -> None:
    provider = make_provider(make_tenant(), name="First gateway")
    measured(0)
    assert "First gateway" not in strip(root())
    breakers.force(name=breakers.of_provider(provider.pk), to="open", by=TESTER)
    shown = strip(root())
    assert "First gateway is not used because its breaker is open." in shown
    assert reverse("config-breaker", args=[breakers.of_provider(provider.pk)]) in shown
    assert "severe" in shown
    assert "First gateway" not in strip(member(make_tenant("Another")))


@pytest.mark.parametrize(("seconds", "loudness"), [(59.0, ""), (61.0, "tone-unknown"), (601.0, "tone-failed")])
def test_messages_that_have_been_due_for_long_are_told(seconds: float, loudness: str) -> None:
    measured(seconds)
    shown = strip(root())
    assert ("Messages are late." in shown) is bool(loudness)
    assert not loudness or (loudness in shown and '<span class="count">9</span>' in shown and reverse("monitor-queues") in shown)


def test_messages_that_no_feeder_hands_over_are_told_from_the_database() -> None:
    make_message(make_tenant(), status=Status.PENDING, at=timezone.now() - timedelta(minutes=2))
    assert "no process hands them to the workers" in strip(root())
    measured(0)
    assert "no process hands them to the workers" not in strip(root())


def test_recent_failures_are_told_by_code_with_their_number() -> None:
    tenant, now = make_tenant(), timezone.now()
    for _row in range(3):
        make_message(tenant, status=Status.FAILED, error_code="http_503", finished_at=now)
    make_message(tenant, status=Status.FAILED, error_code="rejected", finished_at=now - timedelta(minutes=16))
    shown = strip(member(tenant))
    assert "3 messages ended with the error http_503 in the last 15 minutes." in shown
    assert "rejected" not in shown


def test_a_paused_batch_is_told_with_its_page() -> None:
    tenant = make_tenant()
    batch = make_batch(tenant, status=BatchStatus.PAUSED, pending=1)
    make_batch(tenant)
    shown = strip(member(tenant))
    assert "1 batch is paused." in shown
    assert reverse("admin:messaging_batch_change", args=[batch.pk]) in shown


def test_an_alarm_is_told_loudly_until_it_is_acknowledged() -> None:
    now = timezone.now()
    values = {"phase": Phase.FIRING, "state": AlarmState.FIRING, "metric": "due_messages", "group": "backlog", "severity": "critical"}
    alarm = Alarm.objects.create(rule="backlog", **values, since=now, started_at=now, fired_at=now)
    measured(0)
    assert "severe" in strip(root())
    Alarm.objects.update(state=AlarmState.ACKNOWLEDGED, acknowledged_by="user:ada")
    shown = strip(root())
    assert reverse("alarm", args=[alarm.pk]) in shown
    assert "severe" not in shown


def test_an_invalid_draft_is_told_to_those_who_may_mend_it() -> None:
    item = items.module_item("queues")
    item.draft, item.draft_at, item.draft_by = '{"max_backlog": 1}', timezone.now(), "user:ada"
    item.save()
    editor = User.objects.create(username="eddie", is_staff=True, config_right=ConfigRight.EDIT)
    shown = strip(editor)
    assert "is invalid and can&#x27;t be published." in shown
    assert reverse("config:module-edit", args=["queues"]) in shown
    assert "is invalid" not in strip(User.objects.create(username="vera", is_staff=True, config_right=ConfigRight.VIEW))


def test_a_disabled_webhook_endpoint_is_told_with_why() -> None:
    tenant = make_tenant()
    endpoint = make_endpoint(tenant, name="Shop", is_enabled=False, disabled_code=DisabledCode.GONE, disabled_at=timezone.now())
    shown = strip(member(tenant))
    assert "The webhook endpoint Shop was disabled." in shown
    assert reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk]) in shown
    assert "The receiver answered 410 Gone." in shown


def test_rows_that_were_set_aside_are_told_once() -> None:
    tenant = make_tenant()
    make_message(tenant, status=Status.FAILED, error_code=selectors.SET_ASIDE, finished_at=timezone.now())
    shown = strip(member(tenant))
    assert "Messages were set aside because they can&#x27;t be read." in shown
    assert "in the last 15 minutes" not in shown


def test_at_most_five_are_shown_the_loudest_first_and_the_rest_is_counted() -> None:
    tenant, now = make_tenant(), timezone.now()
    make_batch(tenant, status=BatchStatus.PAUSED)
    for number in range(5):
        make_endpoint(tenant, name=f"Shop {number}", is_enabled=False, disabled_code=DisabledCode.GONE, disabled_at=now)
    for _row in range(100):
        make_message(tenant, status=Status.FAILED, error_code="http_503", finished_at=now)
    shown = strip(member(tenant))
    assert shown.count("<li ") == 5
    assert shown.index("http_503") < shown.index("Shop")
    assert "1 batch is paused." not in shown
    assert "and 2 more" in shown


def test_without_redis_it_says_what_was_not_checked_instead_of_that_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_named: object) -> None:
        raise redis.Unavailable("gone")

    user = root()
    monkeypatch.setattr(redis, "client", away)
    shown = strip(user)
    assert "All is well" not in shown
    assert "Not checked:" in shown
    assert "what is due" in shown
    assert "breakers" in shown


@pytest.mark.parametrize(
    ("rate", "tone"), [(None, ""), (100.0, ""), (99.0, ""), (98.99, "amber"), (95.0, "amber"), (94.99, "red"), (0.0, "red")]
)
def test_a_bad_success_rate_looks_bad(rate: float | None, tone: str) -> None:
    assert tone_of_rate(rate) == tone


def test_the_figure_of_the_day_takes_the_colour_of_its_threshold() -> None:
    tenant = make_tenant()
    for status in (Status.DELIVERED, Status.FAILED):
        make_message(tenant, status=status)
    client = Client()
    client.force_login(member(tenant))
    shown = client.get(reverse("admin:index")).content.decode()
    assert 'class="value red" data-figure="success_rate"' in shown
    assert client.get(reverse("admin:figures")).json()["today"]["tone"] == "red"
    assert isinstance(client.get(reverse("admin:index")).context["now"], datetime)
