"""Warnings and breaches: each once, also where schedulers die; and what a change of targets or calendars does."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Tenant
from configcenter import hot
from configcenter.hot import Applied
from posthaste.env import ROOT
from routing.configuration import service_levels
from routing.models import BusinessCalendar, Clock, ClockSignal, Notice
from routing.service_levels import sweeping, telling
from tests.routing.assignment.builders import make_agent
from tests.routing.calendars.builders import make_calendar
from tests.routing.service_levels.builders import NOW, clocks_of, customer_writes, make_clock, make_talk, make_ticket, reply, states_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
#: Starts two schedulers that sweep in small steps, kills one of them at random and starts another, until nothing is left to tell.
KILLS = """
import os
import random
import signal
import time
import django
django.setup()
from django.db import connection
from django.utils import timezone
from routing.models import Clock
from routing.service_levels import sweeping
sweeping.BATCH = 3
dice, killed = random.Random(7), 0

def start():
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()  # its sockets are not shared
    child = os.fork()
    if not child:
        while True:
            try:
                sweeping.sweep(now=timezone.now())
            except Exception:
                time.sleep(0.001)
    return child

running = [start(), start()]
while killed < 8 or Clock.objects.filter(warned_at=None).exists():
    time.sleep(dice.random() / 25)
    victim = dice.randrange(2)
    os.kill(running[victim], signal.SIGKILL)
    os.waitpid(running[victim], 0)
    killed += 1
    running[victim] = start()
for child in running:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def told() -> list[tuple[str, str]]:
    """Return what was told: the metric and the kind."""
    return sorted(ClockSignal.objects.values_list("clock__metric", "kind"))


def test_a_clock_warns_once_and_is_breached_once_and_its_agent_is_told(tenant: Tenant) -> None:
    agent = make_agent(tenant, at=NOW)
    talk = make_talk(tenant, agent=agent)
    customer_writes(talk, at=NOW)
    assert sweeping.sweep(now=NOW + 47 * MINUTE) == 0
    assert [sweeping.sweep(now=NOW + 48 * MINUTE) for _time in range(2)] == [1, 0]
    assert told() == [("first_response", "warning")]
    assert [sweeping.sweep(now=NOW + HOUR) for _time in range(2)] == [1, 0]
    assert told() == [("first_response", "breach"), ("first_response", "warning")]
    notices = Notice.objects.filter(agent=agent).order_by("pk")
    assert [(notice.kind, notice.conversation_id, notice.data["metric"]) for notice in notices] == [
        ("warning", talk.pk, "first_response"),
        ("breach", talk.pk, "first_response"),
    ]
    assert clocks_of(talk)["first_response"].breached_at == NOW + HOUR


def test_a_clock_that_cannot_be_told_of_undoes_its_own_telling_rests_and_holds_up_no_other(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = make_talk(tenant), make_talk(tenant)
    customer_writes(bad, at=NOW)
    customer_writes(good, at=NOW + MINUTE)

    def fail(signals: Any, *_more: Any, **_named: Any) -> None:
        if any(signal.clock.conversation_id == bad.pk for signal in signals):
            raise RuntimeError

    monkeypatch.setattr(telling.on_told, "reactions", [fail])
    monkeypatch.setattr(sweeping, "BATCH", 1)
    later = NOW + 2 * HOUR
    assert [sweeping.sweep(now=later) for _time in range(3)] == [0, 1, 0], "the first one is left out, and the next one is told"
    assert set(ClockSignal.objects.values_list("clock__conversation", flat=True)) == {good.pk}
    monkeypatch.undo()
    assert sweeping.sweep(now=later + HOUR) == 1


def test_a_clock_that_cannot_be_calculated_again_holds_up_no_other(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = [make_talk(tenant), make_talk(tenant)]
    for talk in talks:
        customer_writes(talk, at=NOW)
    Clock.objects.filter(conversation=talks[0]).update(pauses=["broken"])
    monkeypatch.setattr(sweeping, "BATCH", 1)
    with service_levels.set(targets=[{"first_response_minutes": 120}]):
        for _time in range(4):
            sweeping.recalculate(now=NOW)
    assert [clocks_of(talk)["first_response"].target_minutes for talk in talks] == [60, 120]


def test_two_schedulers_that_are_killed_at_random_tell_each_thing_once(tenant: Tenant) -> None:
    agent, now = make_agent(tenant, at=NOW), timezone.now()
    for number in range(30):
        talk = make_talk(tenant, agent=agent)
        is_due = number % 2
        make_clock(talk, warn_at=now - HOUR, due_at=now - MINUTE if is_due else now + HOUR)
    connection.close()
    subprocess.run([sys.executable, "-c", KILLS], cwd=ROOT, env=_environment(), check=True, timeout=120)
    signals = list(ClockSignal.objects.values_list("clock", "kind"))
    assert len(signals) == len(set(signals)) == 30
    assert Notice.objects.filter(agent=agent, kind="breach").count() == 15
    assert Notice.objects.filter(agent=agent, kind="warning").count() == 15
    assert Clock.objects.filter(breached_at__isnull=False).count() == 15


def test_what_is_due_by_day_is_never_told_at_midnight(tenant: Tenant) -> None:
    make_calendar(tenant, at=NOW, time_zone="Asia/Shanghai")
    clock = make_clock(make_ticket(tenant), metric="due_day", facts={"due_on": "2026-12-02"}, basis="old")
    sweeping.recalculate(now=NOW)
    clock.refresh_from_db()
    assert (clock.warn_at, clock.due_at) == (datetime(2026, 12, 2, 1, tzinfo=UTC), datetime(2026, 12, 2, 9, tzinfo=UTC))
    midnight = datetime(2026, 12, 1, 16, tzinfo=UTC)
    assert sweeping.sweep(now=midnight) == 0
    assert sweeping.sweep(now=midnight + timedelta(days=1)) == 1


def test_other_targets_apply_to_open_clocks_and_undo_no_breach(tenant: Tenant) -> None:
    late, early, met = make_talk(tenant), make_talk(tenant), make_talk(tenant)
    customer_writes(late, at=NOW - HOUR)
    for talk in (early, met):
        customer_writes(talk, at=NOW)
    reply(met, make_agent(tenant, at=NOW), at=NOW)
    sweeping.sweep(now=NOW)
    assert sweeping.recalculate(now=NOW) == 0
    with service_levels.set(targets=[{"first_response_minutes": 120}]):
        assert sweeping.is_any_stale()
        assert sweeping.recalculate(now=NOW) == 5
        assert not sweeping.is_any_stale()
    breached = clocks_of(late)["first_response"]
    assert (breached.due_at, breached.breached_at) == (NOW, NOW)
    assert clocks_of(early)["first_response"].due_at == NOW + 2 * HOUR
    assert clocks_of(met)["first_response"].due_at == NOW + HOUR
    assert told() == [("first_response", "breach")]


def test_where_nothing_is_promised_any_more_clocks_are_cancelled(tenant: Tenant) -> None:
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    with service_levels.set(targets=[{"priority": "urgent"}]):
        sweeping.recalculate(now=NOW)
    assert set(states_of(talk).values()) == {"cancelled"}


def test_a_changed_calendar_applies_to_open_clocks(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW.replace(hour=16, minute=30))
    assert clocks_of(talk)["first_response"].due_at == datetime(2026, 12, 2, 9, 30, tzinfo=UTC)
    calendar.days.create(day=datetime(2026, 12, 2).date())  # noqa: DTZ001 - a day
    BusinessCalendar.objects.update(version=1)
    sweeping.recalculate(now=NOW)
    assert clocks_of(talk)["first_response"].due_at == datetime(2026, 12, 3, 9, 30, tzinfo=UTC)


def test_a_process_that_does_not_know_the_newest_release_leaves_clocks_alone(tenant: Tenant) -> None:
    customer_writes(make_talk(tenant), at=NOW)
    Clock.objects.update(config_revision=7, basis="newer")
    assert sweeping.recalculate(now=NOW) == 0
    hot.know_revision(7)
    assert sweeping.recalculate(now=NOW) == 2


def test_clocks_name_the_release_of_the_tenants_override_and_follow_when_it_comes_and_goes(tenant: Tenant) -> None:
    talk, base = make_talk(tenant), Applied(service_levels.value, 7)
    own = service_levels.value.model_copy(update={"warn_percent": 50})
    seen = []
    customer_writes(talk, at=NOW)
    for revision, applied in enumerate((base, replace(base, by_tenant={tenant.pk: own}, releases={tenant.pk: 2}), base), start=1):
        hot.know_revision(revision)
        service_levels.swap(applied)
        sweeping.recalculate(now=NOW)
        clock = clocks_of(talk)["first_response"]
        seen.append((clock.config_version, clock.warn_at))
    assert [version for version, _warn_at in seen] == [0, 2, 7], "what did not change was not calculated again"
    assert seen[1][1] == NOW + timedelta(minutes=30)


def test_a_calendar_that_never_opens_makes_a_clock_that_is_never_due(tenant: Tenant) -> None:
    make_calendar(tenant, at=NOW, hours=[])
    talk = make_talk(tenant)
    customer_writes(talk, at=NOW)
    assert clocks_of(talk)["first_response"].due_at is None
    assert sweeping.sweep(now=NOW + timedelta(days=400)) == 0


def _environment() -> dict[str, str]:
    """Return the environment of a process that works on the test's database."""
    own: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{own['NAME']}"
    else:
        url = f"postgresql://{own['USER']}@{own['HOST']}:{own['PORT']}/{own['NAME']}"
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}
