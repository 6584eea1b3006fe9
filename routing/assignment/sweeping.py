"""The safety net: whatever moves conversations at once may have died before it did. A job looks again.

It also does what only the clock brings about: overflow, silence, presence that runs out, the end of a break.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, DateTimeField, Exists, F, OuterRef, Q, Value
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from posthaste.lib import queues
from posthaste.lib.resting import Resting
from routing.assignment.assigning import assign_waiting
from routing.assignment.moving import move_from_the_silent, queue_of_the_absent
from routing.assignment.queueing import overflow, reconsider
from routing.assignment.taking import last_change, not_before
from routing.models import Agent, AssignmentCause, Conversation, ConversationStatus
from routing.models import Assignment as Span

log = structlog.get_logger(__name__)
MAX_REPAIRED = 500
_unrepaired = Resting("reconcile")


#: A customer waits: for an agent, or for the agent's answer.
SOMEONE_WAITS = Q(status=ConversationStatus.QUEUED) | Q(status=ConversationStatus.ASSIGNED, unanswered_since__isnull=False)


def does_anyone_wait() -> bool:
    """Return whether any customer waits for an agent or an answer: a probe of two small indexes."""
    return Conversation.objects.filter(SOMEONE_WAITS).exists()


@job(
    "routing.assign",
    title=_("Assign waiting conversations"),
    purpose=_("Assigns what still waits, moves what overflows, and what silent or absent agents hold."),
    every=timedelta(seconds=1),
    timeout=timedelta(minutes=1),
    expires=timedelta(seconds=5),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=does_anyone_wait,
)
def assign_again() -> None:
    """Look at every tenant whose customers wait."""
    sweep(now=timezone.now())


def sweep(*, now: datetime) -> int:
    """Do for every tenant what is due, and return how many conversations were assigned. An error of one tenant or step stops no other."""
    total = 0
    for tenant_id, is_queued in _tenants().items():
        steps: tuple[Callable[[int], int], ...] = (
            lambda tenant_id: queue_of_the_absent(tenant_id=tenant_id, now=now),
            lambda tenant_id: move_from_the_silent(tenant_id=tenant_id, now=now),
            lambda tenant_id: overflow(tenant_id, now=now),
            lambda tenant_id: reconsider(tenant_id, now=now),
        )
        moved = sum(_done(step, tenant_id) for step in steps)
        if is_queued or moved:
            total += _done(lambda tenant_id: assign_waiting(tenant_id=tenant_id, now=now), tenant_id)
    return total


def _done(step: Callable[[int], int], tenant_id: int) -> int:
    try:
        return step(tenant_id)
    except Exception:
        log.exception("assignment failed", tenant=tenant_id)
        return 0


def _tenants() -> dict[int, bool]:
    """Return the tenants whose customers wait, and whether some of them wait for an agent."""
    rows = Conversation.objects.filter(SOMEONE_WAITS).order_by()
    found: dict[int, bool] = {}
    for tenant_id, status in rows.values_list("tenant_id", "status").distinct():
        found[tenant_id] = found.get(tenant_id, False) or status == ConversationStatus.QUEUED
    return found


@job(
    "routing.reconcile",
    title=_("Check the load of agents"),
    purpose=_("Counts the conversations that each agent holds, and corrects the load where it differs."),
    every=timedelta(seconds=15),
    timeout=timedelta(minutes=1),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
)
def reconcile_loads() -> None:
    """Correct loads and spans that do not match the conversations."""
    reconcile(now=timezone.now())


def reconcile(*, now: datetime) -> int:
    """Correct loads and spans that do not match what agents hold, and return the number of corrections.

    They differ when a conversation was ended without freeing its place, such as by hand in the database.
    """
    resting = _unrepaired.ids(now=now)
    done = _repaired(lambda pk: _end_span(pk, now), _stale_spans(resting), now)
    done += _repaired(lambda pk: _begin_span(pk, now), _without_span(resting), now)
    return done + _repaired(_correct_load, _wrong_loads(resting), now)


def _repaired(repair: Callable[[UUID], int], found: Iterable[UUID], now: datetime) -> int:
    """Repair each, and return the number of corrections. An error of one does not stop the others, and it rests."""
    done = 0
    for pk in found:
        try:
            done += repair(pk)
        except (OperationalError, InterfaceError):
            raise  # the database is away: the next run repairs
        except Exception:
            log.exception("not repaired", id=str(pk))
            _unrepaired.failed(pk, now=now)
    return done


def _stale_spans(resting: list[str]) -> list[UUID]:
    """Return the conversations with an open span of an agent who no longer holds them."""
    held = Q(conversation__status=ConversationStatus.ASSIGNED, conversation__agent_id=F("agent_id"))
    spans = Span.objects.filter(ended_at=None).exclude(held).exclude(conversation__pk__in=resting)
    return list(spans.values_list("conversation", flat=True)[:MAX_REPAIRED])


@transaction.atomic
def _end_span(conversation_id: UUID, now: datetime) -> int:
    row = Conversation.objects.select_for_update(no_key=True).filter(pk=conversation_id).first()
    stale = Span.objects.filter(conversation_id=conversation_id, ended_at=None)
    if row is not None and row.status == ConversationStatus.ASSIGNED and row.agent_id is not None:
        stale = stale.exclude(agent_id=row.agent_id)
    return stale.update(ended_at=Greatest(F("started_at"), Value(now, DateTimeField())), end_cause=AssignmentCause.RESOLVED)


def _without_span(resting: list[str]) -> list[UUID]:
    """Return the conversations that an agent holds without a span, such as one that was reopened."""
    has_one = Exists(Span.objects.filter(conversation=OuterRef("pk"), ended_at=None))
    rows = Conversation.objects.filter(~has_one, status=ConversationStatus.ASSIGNED, agent__isnull=False).exclude(pk__in=resting)
    return list(rows.values_list("pk", flat=True)[:MAX_REPAIRED])


@transaction.atomic
def _begin_span(conversation_id: UUID, now: datetime) -> int:
    rows = Conversation.objects.select_for_update(no_key=True)
    row = rows.filter(pk=conversation_id, status=ConversationStatus.ASSIGNED).first()
    if row is None or row.agent_id is None or Span.objects.filter(conversation=row, ended_at=None).exists():
        return 0
    Span.objects.create(
        tenant_id=row.tenant_id,
        conversation=row,
        agent_id=row.agent_id,
        cause=AssignmentCause.RULE,
        reason={"why": "repaired"},
        started_at=not_before(row.assigned_at or now, last_change([row.pk])),
    )
    return 1


def _wrong_loads(resting: list[str]) -> list[UUID]:
    """Return the agents whose load is not the number of conversations they hold."""
    # Counted by the index of what is held: agents keep the name of all that they ever resolved, which may be millions.
    rows = Conversation.objects.filter(status=ConversationStatus.ASSIGNED, agent__isnull=False).order_by().values_list("agent")
    held = dict(rows.annotate(number=Count("pk")))
    agents = Agent.objects.exclude(pk__in=resting).order_by("pk").values_list("pk", "load")
    return [pk for pk, load in agents if load != held.get(pk, 0)][:MAX_REPAIRED]


@transaction.atomic
def _correct_load(agent_id: UUID) -> bool:
    # What changes a load has this lock until its conversations are committed too. So the count, which is another statement, is exact.
    row = Agent.objects.select_for_update(no_key=True).filter(pk=agent_id).first()
    if row is None:
        return False
    held = Conversation.objects.filter(agent_id=agent_id, status=ConversationStatus.ASSIGNED).count()
    if row.load != held:
        log.warning("corrected the load of an agent", agent=str(agent_id), load=row.load, held=held)
    return bool(Agent.objects.filter(pk=agent_id).exclude(load=held).update(load=held))
