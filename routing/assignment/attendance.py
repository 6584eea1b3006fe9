"""Note what agents choose to do and the signs that they are there, and have conversations move at once."""

from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import Invalid, NotFound
from routing.actions import Action
from routing.assignment import presence
from routing.assignment.assigning import assign_waiting
from routing.assignment.moving import queue_of_the_absent
from routing.configuration import assignment
from routing.models import Agent, Presence

MAX_BREAK = timedelta(hours=24)


class Sign(StrEnum):
    """What showed that an agent is there."""

    DESK = "desk"
    PHONE = "phone"
    API = "api"


def _grace(tenant_id: int, sign: Sign) -> timedelta:
    settings = assignment.of(tenant_id)
    return timedelta(seconds=settings.phone_grace_seconds if sign == Sign.PHONE else settings.presence_grace_seconds)


def beat(*, agent_id: UUID, tenant_id: int, sign: Sign, now: datetime) -> Presence:
    """Note a sign of an agent, and return what they do now. A desk's sign does not shorten what a phone's allows.

    Raises:
        NotFound: there is no such agent.
    """
    agent = Agent.objects.filter(pk=agent_id, tenant_id=tenant_id).first()
    if agent is None:
        raise NotFound
    until = now + _grace(tenant_id, sign)
    was = presence.state(agent, now=now)
    own = Agent.objects.filter(pk=agent_id)
    own.filter(Q(seen_at=None) | Q(seen_at__lt=now)).update(seen_at=now)
    if own.filter(Q(present_until=None) | Q(present_until__lt=until)).exclude(presence=Presence.OFFLINE).update(present_until=until):
        agent.present_until = until
    state = presence.state(agent, now=now)
    if was != Presence.ONLINE and state == Presence.ONLINE:
        assign_waiting(tenant_id=tenant_id, now=now)
    return state


@transaction.atomic
def set_presence(
    *, agent: Agent, presence: Presence, by: Actor, now: datetime, break_until: datetime | None = None, sign: Sign = Sign.API
) -> None:
    """Set what an agent does from now on. Conversations move to them, or from them, once the transaction is committed.

    Raises:
        Invalid: a break's end is not within a day from now, or is given for something else.
        NotFound: the agent was deleted meanwhile.
    """
    if break_until is not None and presence != Presence.BREAK:
        raise Invalid.field("break_until", _("Only a break has an end."), "not_allowed")
    if break_until is not None and not now < break_until <= now + MAX_BREAK:
        raise Invalid.field("break_until", _("Must be in the future, and within a day."))
    row = Agent.objects.select_for_update(no_key=True).filter(pk=agent.pk, tenant_id=agent.tenant_id).first()
    if row is None:
        raise NotFound
    until = None
    if presence != Presence.OFFLINE:
        until = max(now + _grace(row.tenant_id, sign), row.present_until or now)
    Agent.objects.filter(pk=row.pk).update(presence=presence, present_until=until, seen_at=now, break_until=break_until)
    if (row.presence, row.break_until) != (presence, break_until):
        detail = {"from": str(row.presence), "to": str(presence)} | ({"break_until": break_until.isoformat()} if break_until else {})
        audit.record(by=by, action=Action.AGENT_PRESENCE, target=row.name, tenant_id=row.tenant_id, detail=detail)
    agent.presence, agent.present_until, agent.seen_at, agent.break_until = presence, until, now, break_until
    transaction.on_commit(partial(move, tenant_id=row.tenant_id, now=now), robust=True)


def move(*, tenant_id: int, now: datetime) -> None:
    """Have conversations leave agents who are gone, and go to those who are there."""
    queue_of_the_absent(tenant_id=tenant_id, now=now)
    assign_waiting(tenant_id=tenant_id, now=now)
