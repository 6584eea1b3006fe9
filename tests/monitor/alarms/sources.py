"""What makes the figure of each built-in rule bad, and well again: at its source, as what runs in production writes it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from configcenter import hot
from configcenter.services import instances, items, releases
from jobs.models import JobRun, Plan, RunState, Trigger
from messaging.configuration import queues, thread_pools
from messaging.models import DisabledCode, Message, ReceiptEntry, Status, WebhookEndpoint
from messaging.providers import breakers, condition
from messaging.queueing import queue_statistics
from posthaste.lib import heartbeat, redis
from posthaste.lib.flow.limiter import limiter
from posthaste.lib.heartbeat import Process
from routing.intents import unloadable
from routing.models import Arrival, BusinessCalendar, CalendarDay, Clock
from tests.builders import TESTER, make_endpoint, make_message, make_provider, make_tenant
from tests.jobs.builders import make_plan
from tests.routing.builders import make_entrance
from tests.routing.calendars.builders import make_calendar
from tests.routing.conversations.builders import make_arrival
from tests.routing.service_levels.builders import make_clock, make_ticket
from tracing.services.totals import Totals

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
Act = Callable[[], object]


@dataclass(frozen=True)
class Source:
    """How a figure becomes bad and well, and the series of the alarm. `make` makes what is needed first, for both."""

    worsen: Act
    mend: Act
    series: str = ""
    make: Act = field(default=lambda: None)


def process(kind: str, *, disk_used_percent: float = 40.0) -> Act:
    """Report a live process."""
    return lambda: heartbeat.report(Process(kind, "host", os.getpid(), time.time(), 10**8, disk_used_percent, 10**10))


def no_process() -> None:
    """Let the signs of life of all processes expire."""
    if found := list(redis.client().scan_iter(match=redis.key("alive*"))):
        redis.client().delete(*found)


def waiting(*, in_broker: int = 0, due: int = 0, oldest_seconds: float = 0.0) -> Act:
    """Tell what waits, as the feeder does."""

    def tell() -> None:
        redis.client().set(redis.key("waiting"), f"{in_broker} {due} 0", ex=60)
        queue_statistics.publish_drain(per_second=1.0, oldest_seconds=oldest_seconds, useful_threads=None)

    return tell


def pool(busy: int) -> Act:
    """Tell that a worker's pool has so many busy threads."""
    told = {"instance": "host:1", "threads": busy, "active_count": busy}
    return lambda: queue_statistics.report_pool("host:1", told, alive_seconds=60)


def no_events() -> None:
    """Let the minutes pass in which messages were counted."""
    now = int(time.time() // 60)
    redis.client().delete(*(redis.key("totals", number) for number in range(now - 70, now + 2)))


def events(**numbers: int) -> Act:
    """Count events of messages just now, and none before."""

    def count() -> None:
        no_events()
        counted, pipeline = Totals(), redis.client().pipeline()
        for event, number in numbers.items():
            counted.count("sms", event, number)
        counted.publish(pipeline, datetime.now(UTC))
        pipeline.execute()

    return count


def provider(name: str = "Gateway") -> Any:
    """Make a provider."""
    return make_provider(make_tenant(), name=name)


def breaker() -> Source:
    """Hold the breaker of a provider open, and let it go."""
    names: list[str] = []

    def force(to: str) -> Act:
        return lambda: breakers.force(name=names[0], to=to, by=TESTER)

    return Source(force("open"), force("closed"), "breaker=Gateway", make=lambda: names.append(breakers.of_provider(provider().pk)))


def receipts() -> Source:
    """Send messages whose receipts do not come, and then do."""

    def make() -> None:
        now, gateway = datetime.now(UTC), provider()
        for number in range(condition.ENOUGH):
            at = now - timedelta(minutes=30, seconds=number)
            message = make_message(gateway.tenant, status=Status.SENT, at=at, provider=gateway, sent_at=at)
        ReceiptEntry.objects.create(provider=gateway, message=message, reported="delivered", outcome="applied")

    return Source(
        lambda: Message.objects.update(status=Status.SENT),
        lambda: Message.objects.update(status=Status.DELIVERED),
        "provider=Gateway",
        make=make,
    )


def credentials() -> Source:
    """Have a provider refuse its credentials, and then hear nothing of it for ten minutes."""

    def noted(seconds_ago: float) -> Act:
        def note() -> None:
            pipeline = redis.client().pipeline()
            condition.note_refused(pipeline, [found.pk])
            pipeline.hset(redis.key("providers", "refused"), str(found.pk), int(time.time() - seconds_ago))
            pipeline.execute()

        return note

    found: Any = None

    def make() -> None:
        nonlocal found
        found = provider()

    return Source(noted(0), noted(condition.REFUSED_SECONDS + 1), "provider=Gateway", make=make)


def certificate() -> Source:
    """Let a certificate come near its end, and renew it."""
    found: list[Any] = []

    def valid_for(days: float) -> Act:
        return lambda: condition.note_certificates({found[0].pk: datetime.now(UTC) + timedelta(days=days)})

    return Source(valid_for(13.9), valid_for(14.1), "provider=Gateway", make=lambda: found.append(provider()))


def credential() -> Source:
    """Let the last day of a credential come near, and enter a later one."""
    found: list[Any] = []

    def last_day_in(days: int) -> Act:
        def enter() -> None:
            found[0].config = {"credential_expires_on": f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}"}
            found[0].save(update_fields=["config"])

        return enter

    return Source(last_day_in(12), last_day_in(14), "provider=Gateway", make=lambda: found.append(provider()))


def instance(*, number: int, errors: dict[str, str] | None = None) -> Act:
    """Report which version of the queues a process runs."""

    def tell() -> None:
        current = items.module_item("queues").current
        assert current
        versions = {handle.name: instances.Version(0, "") for handle in hot.modules()}  # the defaults
        versions["queues"] = instances.Version(number, current.md5 if number == current.number else "0" * 32, 10)
        state = instances.State(source="database", revision=1, versions=versions, errors=errors or {})
        instances.report(who=instances.Identity("host", "send"), state=state, started_at=LONG_AGO)

    return tell


def release() -> None:
    """Publish the queues."""
    releases.publish(item=items.module_item("queues"), content="{}", comment="test", by=TESTER)


def job() -> Source:
    """Have a job fail, and succeed the next time."""
    plans: list[Plan] = []

    def run(state: RunState) -> Act:
        def end() -> None:
            now = datetime.now(UTC)
            times = {"nominal_at": now, "due_at": now, "published_at": now, "started_at": now, "ended_at": now}
            JobRun.objects.create(job=plans[0].job, task=plans[0].job.task, trigger=Trigger.HAND, state=state, **times)

        return end

    return Source(run(RunState.FAILED), run(RunState.SUCCEEDED), "job=nightly", make=lambda: plans.append(make_plan("nightly")))


def endpoint() -> Source:
    """Give a webhook endpoint up, and enable it again."""
    gone = {"is_enabled": False, "disabled_code": DisabledCode.FAILING, "disabled_at": LONG_AGO}
    return Source(
        lambda: WebhookEndpoint.objects.update(**gone),
        lambda: WebhookEndpoint.objects.update(is_enabled=True, disabled_code="", disabled_at=None),
        make=lambda: make_endpoint(make_tenant()),
    )


def lost_arrival() -> Source:
    """Give an arrival up, and process it after all."""
    return Source(
        lambda: make_arrival(make_entrance(make_tenant(slug="lost")), state="failed", finished_at=LONG_AGO),
        lambda: Arrival.objects.update(state="done"),
        "tenant=lost",
    )


def late_clock() -> Source:
    """Breach a clock, and stop it."""
    return Source(
        lambda: make_clock(make_ticket(make_tenant(slug="late")), breached_at=LONG_AGO),
        lambda: Clock.objects.update(state="missed", ended_at=LONG_AGO),
        "tenant=late",
    )


def empty_calendar() -> Source:
    """Have a calendar without holidays, and enter some."""

    def enter() -> None:
        days = [datetime.now(UTC).date().replace(year=datetime.now(UTC).year + later, day=1) for later in (0, 1)]
        rows = [CalendarDay(calendar=calendar, day=day) for calendar in BusinessCalendar.objects.all() for day in days]
        CalendarDay.objects.bulk_create(rows, ignore_conflicts=True)

    return Source(lambda: make_calendar(make_tenant(slug="empty"), at=LONG_AGO), enter, "tenant=empty")


def memory(share: float) -> Act:
    """Give Redis so much memory that a share of it is used."""

    def give() -> None:
        used = redis.client().info("memory")["used_memory"]
        redis.client().config_set("maxmemory", int(used / share))

    return give


def limit_alone() -> None:
    """Have this process limit without Redis, and its keeper, where an earlier test started it, not find that it is back."""
    limiter._noticed(redis.Unavailable())
    limiter._calls_when_away = -1


def sources() -> dict[str, Source]:
    """Return those of the rules that need no server to stop, by the rule's name."""
    capacity, threads = queues.value.queue_capacity, thread_pools.value.max_threads
    return {
        "no-consumers": Source(no_process, process("send")),
        "no-feeder": Source(no_process, process("aux")),
        "beat-silent": Source(no_process, process("beat")),
        "backlog-age": Source(waiting(due=1, oldest_seconds=301), waiting(due=1, oldest_seconds=60)),
        "backlog": Source(waiting(due=99_001), waiting(due=80_000)),
        "queue-near-capacity": Source(waiting(in_broker=capacity * 91 // 100), waiting(in_broker=capacity * 75 // 100)),
        "pool-at-maximum": Source(pool(threads), pool(threads * 90 // 100)),
        "success-rate": Source(events(sent=94, failed=6), events(sent=97, failed=3)),
        "failure-spike": Source(events(failed=31), events(failed=20)),
        "breaker-open": breaker(),
        "receipts-missing": receipts(),
        "credential-refused": credentials(),
        "certificate-expiring": certificate(),
        "credential-expiring": credential(),
        "webhook-endpoint-disabled": endpoint(),
        "configuration-not-applied": Source(instance(number=0), instance(number=1), "module=queues", make=release),
        "configuration-refused": Source(
            instance(number=1, errors={"queues": "version 1: max_backlog: too small"}), instance(number=1), "module=queues", make=release
        ),
        "intent-model-unloadable": Source(partial(unloadable.note, 7, 3), partial(unloadable.settle, 7)),
        "arrivals-failed": lost_arrival(),
        "service-level-breached": late_clock(),
        "calendar-without-holidays": empty_calendar(),
        "job-failed": job(),
        "disk-full": Source(process("send", disk_used_percent=90.1), process("send", disk_used_percent=85.0), "host=host"),
        "redis-memory": Source(memory(0.95), memory(0.5)),
        "limits-without-redis": Source(limit_alone, limiter._is_back),
    }
