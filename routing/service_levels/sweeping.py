"""Jobs of the service levels: tell what warns or is due, and calculate again what was calculated from older targets or calendars."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.resting import Resting
from routing.calendars import reading
from routing.models import Clock, ClockState, Conversation, SignalKind, Ticket
from routing.service_levels import telling
from routing.service_levels.levels import Levels, levels_of
from routing.service_levels.running import OPEN, stop

log = structlog.get_logger(__name__)
BATCH = 200
MAX_BATCHES = 50
_untold, _uncalculated = Resting("tell_clocks"), Resting("recalculate_clocks")
#: A clock with what it is about: a conversation or a ticket.
Found = tuple[UUID, UUID | None, UUID | None]
CALCULATED = ("facts", "calendar", "config_version", "config_revision", "basis", "target_minutes", "warn_at", "due_at")


def warns_by(now: datetime) -> Q:
    """Return the condition of clocks that warn, have not, and are not due either: a partial index has them."""
    return Q(state=ClockState.RUNNING, warned_at=None, warn_at__lte=now) & (Q(due_at=None) | Q(due_at__gt=now))


def is_due_by(now: datetime) -> Q:
    """Return the condition of clocks that are breached and whose breach was not told: a partial index has them."""
    return Q(state=ClockState.RUNNING, breached_at=None, due_at__lte=now)


def is_anything_due() -> bool:
    """Return whether a clock warns or is due: a probe of two small indexes."""
    now = timezone.now()
    return Clock.objects.filter(warns_by(now)).exists() or Clock.objects.filter(is_due_by(now)).exists()


@job(
    "routing.tell_clocks",
    title=_("Tell of service levels"),
    purpose=_("Warns of clocks that will soon be due, and tells of breaches, each once."),
    every=timedelta(seconds=2),
    timeout=timedelta(minutes=1),
    expires=timedelta(seconds=10),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=is_anything_due,
)
def tell_clocks() -> None:
    """Tell what is due now."""
    sweep(now=timezone.now())


def sweep(*, now: datetime) -> int:
    """Tell of all breaches, then of all warnings, and return how many were told."""
    told = 0
    for condition, kind in ((is_due_by(now), SignalKind.BREACH), (warns_by(now), SignalKind.WARNING)):
        for _batch in range(MAX_BATCHES):
            found, new = _tell_some(condition, kind, now=now)
            told += new
            if found < BATCH or not new:
                break
    return told


def _tell_some(condition: Q, kind: SignalKind, *, now: datetime) -> tuple[int, int]:
    """Tell of some clocks, and return how many were found and told. What another transaction holds comes with the next sweep.

    They are told together; if that fails, each alone, and the one that fails rests.
    """
    rows = Clock.objects.filter(condition).exclude(pk__in=_untold.ids(now=now))
    found: list[Found] = list(rows.order_by("due_at").values_list("pk", "conversation_id", "ticket_id")[:BATCH])
    try:
        return len(found), _told(condition, found, kind, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the next sweep tells
    except Exception:
        log.exception("clocks were not told of together", number=len(found), kind=kind.value)
        return len(found), sum(_told_alone(condition, one, kind, now=now) for one in found)


def _told_alone(condition: Q, one: Found, kind: SignalKind, *, now: datetime) -> int:
    try:
        return _told(condition, [one], kind, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("a clock was not told of", clock=str(one[0]), kind=kind.value)
        _untold.failed(one[0], now=now)
        return 0


@transaction.atomic
def _told(condition: Q, found: Sequence[Found], kind: SignalKind, *, now: datetime) -> int:
    # Conversations and tickets first, as whatever changes their clocks locks them first. Two sweeps at once share the work.
    conversations = _locked(Conversation.objects.filter(pk__in=[pk for _clock, pk, _ticket in found if pk]))
    tickets = _locked(Ticket.objects.filter(pk__in=[pk for _clock, _conversation, pk in found if pk]))
    ours = [clock for clock, conversation, ticket in found if conversation in conversations or ticket in tickets]
    rows = Clock.objects.filter(condition, pk__in=ours)
    clocks = list(rows.select_for_update(no_key=True).order_by("pk")) if ours else []
    return len(telling.tell(clocks, kind, now=now))


def _locked(rows: QuerySet[Any, Any]) -> set[Any]:
    return set(rows.order_by("pk").select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))


def stale(tenant_id: int, levels: Levels) -> QuerySet[Clock]:
    """Return the open clocks of a tenant that were calculated from something else, by a process that knew no more than this one."""
    older = Q(config_revision=None) | Q(config_revision__lte=levels.revision)
    return Clock.objects.filter(older, tenant_id=tenant_id, state__in=OPEN).exclude(basis=levels.basis)


def is_any_stale() -> bool:
    """Return whether open clocks must be calculated again: two queries."""
    found = set(Clock.objects.filter(state__in=OPEN).order_by().values_list("tenant_id", "basis").distinct())
    reading.look_at({tenant_id for tenant_id, _basis in found})
    levels = {tenant_id: levels_of(tenant_id) for tenant_id, _basis in found}
    return any(stale(pk, levels[pk]).exists() for pk, basis in found if basis != levels[pk].basis)


@job(
    "routing.recalculate_clocks",
    title=_("Calculate clocks again"),
    purpose=_("Calculates open clocks again when targets, business hours or calendars have changed."),
    every=timedelta(seconds=5),
    timeout=timedelta(minutes=2),
    expires=timedelta(seconds=30),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=is_any_stale,
)
def recalculate_clocks() -> None:
    """Calculate again what is stale."""
    recalculate(now=timezone.now())


def recalculate(*, now: datetime) -> int:
    """Calculate open clocks again by what is promised now, and return how many changed.

    What was told stays told: a breached clock keeps its due time, and a warning is not repeated. A clock that is late by the new targets is
    breached at the next sweep. One for which nothing is promised any more is cancelled. An error of one clock or tenant does not stop the
    others; a clock that fails rests.
    """
    changed, tenants = 0, list(Clock.objects.filter(state__in=OPEN).order_by().values_list("tenant_id", flat=True).distinct())
    reading.look_at(tenants)
    for tenant_id in tenants:
        try:
            changed += _recalculate_those_of(tenant_id, now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            log.exception("clocks were not calculated again", tenant=tenant_id)
    return changed


def _recalculate_those_of(tenant_id: int, *, now: datetime) -> int:
    levels, changed = levels_of(tenant_id), 0
    for _batch in range(MAX_BATCHES):
        rows = list(stale(tenant_id, levels).exclude(pk__in=_uncalculated.ids(now=now)).order_by("pk")[:BATCH])
        done = sum(_tried(clock, levels, now=now) for clock in rows)
        changed += done
        if len(rows) < BATCH or not done:
            break
    return changed


def _tried(clock: Clock, levels: Levels, *, now: datetime) -> bool:
    try:
        return _recalculated(clock, levels, now=now)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("a clock was not calculated again", clock=str(clock.pk), tenant=clock.tenant_id)
        _uncalculated.failed(clock.pk, now=now)
        return False


def _recalculated(clock: Clock, levels: Levels, *, now: datetime) -> bool:
    """Calculate one clock, unless it was changed meanwhile: then the next run looks again. Each is a statement, so that none waits long."""
    before = {"pk": clock.pk, "state": clock.state, "pauses": clock.pauses, "basis": clock.basis, "breached_at": clock.breached_at}
    if not levels.calculate(clock):
        with transaction.atomic():
            if not Clock.objects.filter(**before).exists():
                return False
            stop([clock], is_met=False, now=now)
        return True
    return bool(Clock.objects.filter(**before).update(**{name: getattr(clock, name) for name in CALCULATED}))
