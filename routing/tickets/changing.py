"""Change what a ticket says, and who has it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypedDict

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.dates import is_day_in_range
from posthaste.lib.problems import Invalid, NotFound
from routing.actions import Action
from routing.models import OPEN_TICKETS, Agent, Notice, NoticeKind, SkillGroup, Ticket, TicketEvent, TicketPriority, TicketStatus
from routing.tickets import fields as own_fields
from routing.tickets import hooks, places
from routing.tickets.history import Happening, difference, write
from routing.tickets.opening import MAX_DESCRIPTION, MAX_SUBJECT
from routing.tickets.storing import TicketOver, lock, must_be, update
from routing.tickets.transitions import IN_PROGRESS, NEEDS_AGENT, move
from routing.tickets.types import tags_named

#: In a resolved ticket these may still be set right; a closed one stays as it is.
CHANGEABLE = (*OPEN_TICKETS, TicketStatus.RESOLVED)


class Values(TypedDict, total=False):
    """What `change` takes. `fields` are values of the type's own fields by key; None removes one. `tags` are all names."""

    subject: str
    description: str
    priority: str
    due_on: date | None
    fields: Mapping[str, Any]
    tags: list[str]
    group: SkillGroup | None
    agent: Agent | None


@transaction.atomic
def change(*, ticket: Ticket, values: Values, version: int | None = None, by: Actor, now: datetime) -> Ticket:
    """Change fields of a ticket; a value that it has already changes nothing.

    Raises:
        TicketChanged: it was changed since `version`; the problem says what.
        TicketOver: it is closed, merged or spam.
        Invalid: naming each wrong field.
        NotFound: the group or the agent is of another tenant.
    """
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    must_be(row, version)
    if row.status not in CHANGEABLE:
        raise TicketOver(_("Ticket #{n} is “{status}”.").format(n=row.number, status=row.get_status_display()))
    wanted: dict[str, Any] = {name: values[name] for name in ("subject", "description", "priority", "due_on") if name in values}
    _must_fit(wanted)
    if "fields" in values:
        wanted["fields"] = own_fields.checked_values(own_fields.of_type(row.type), values["fields"], kept=row.fields)
    before = {name: getattr(row, name) for name in wanted}
    changes = difference(before, wanted)
    if "fields" in changes:
        del changes["fields"]
        changes |= {f"fields.{key}": pair for key, pair in _differing(before["fields"], wanted["fields"]).items()}
    if "tags" in values:
        changes |= _tagged(row, values["tags"], by=by, now=now)
    if changes:
        update(row, now=now, **{name: value for name, value in wanted.items() if before[name] != value})
        write(row, Happening.CHANGED, by=by, now=now, action=Action.TICKET_CHANGE, changes=changes)
        hooks.tell_changed(row, list(changes), now=now)
    if "group" in values or "agent" in values:
        agent = values.get("agent", row.agent)
        if "group" in values:
            group = values["group"]
            if (group and group.pk, agent and agent.pk) != (row.group_id, row.agent_id):
                places.must_fit(agent, group, field="agent" if "agent" in values else "group")
        else:
            group = places.group_for(agent, kept=row.group, had=row.agent_id)
        _give(row, group=group, agent=agent, by=by, now=now)
    return row


@transaction.atomic
def assign(
    *,
    ticket: Ticket,
    agent: Agent | None = None,
    group: SkillGroup | None = None,
    version: int | None = None,
    by: Actor,
    now: datetime,
) -> Ticket:
    """Give a ticket to an agent, or to the queue of a group, which is a transfer if another has it.

    An agent who is not in its group takes it along into their own first one.

    Raises:
        TicketChanged: it was changed since `version`.
        MoveRefused: it is over.
        Invalid: the agent is not active, or not in the group that is named; neither is named.
        NotFound: the agent or the group is of another tenant.
    """
    if agent is None and group is None:
        raise Invalid.field("agent", _("Name an agent or a group."), "required")
    row = lock(ticket.pk, tenant_id=ticket.tenant_id)
    must_be(row, version)
    if row.status not in CHANGEABLE:
        raise TicketOver(_("Ticket #{n} is “{status}”.").format(n=row.number, status=row.get_status_display()))
    if group is None:
        group = places.group_for(agent, kept=row.group, had=row.agent_id)
    else:
        places.must_fit(agent, group)
    _give(row, group=group, agent=agent, by=by, now=now)
    return row


def _give(row: Ticket, *, group: SkillGroup | None, agent: Agent | None, by: Actor, now: datetime) -> None:
    """Let a locked ticket belong to a group and an agent, with the status that follows from it."""
    if any(one is not None and one.tenant_id != row.tenant_id for one in (group, agent)):
        raise NotFound
    if agent is not None and not agent.is_active and agent.pk != row.agent_id:
        raise Invalid.field("agent", _("This agent is not active."), "inactive")
    same_group, same_agent = (group and group.pk) == row.group_id, (agent and agent.pk) == row.agent_id
    if same_group and same_agent and (agent is None or row.status in NEEDS_AGENT or row.status not in OPEN_TICKETS):
        return
    to = _status_with(row, agent)
    if to != row.status:
        move(row, to=to, by=by, now=now, agent=agent, group=group)
    else:
        changes = {"agent": [str(row.agent or ""), str(agent or "")], "group": [str(row.group or ""), str(group or "")]}
        update(row, now=now, agent=agent, group=group)
        changed = {name: pair for name, pair in changes.items() if pair[0] != pair[1]}
        write(row, Happening.CHANGED, by=by, now=now, action=Action.TICKET_CHANGE, changes=changed)
        hooks.tell_changed(row, list(changed), now=now)
    if agent is not None and not same_agent:
        tell_agent(row, agent, by=by, now=now)


def _status_with(row: Ticket, agent: Agent | None) -> TicketStatus:
    """Return the status of an open ticket that an agent, or no one, has; waiting, held and resolved ones stay what they are."""
    if row.status in (TicketStatus.WAITING, TicketStatus.ON_HOLD, TicketStatus.RESOLVED):
        return TicketStatus(row.status)
    if agent is None:
        return TicketStatus.QUEUED
    return IN_PROGRESS if row.status == IN_PROGRESS and row.agent_id == agent.pk else TicketStatus.ASSIGNED


def tell_agent(row: Ticket, agent: Agent, *, by: Actor, now: datetime) -> None:
    """Tell an agent at the desk that a ticket is theirs now, unless they took it themselves; in the caller's transaction."""
    if by == Actor.of_user(agent.user, ip=by.ip):
        return
    latest = TicketEvent.objects.filter(ticket=row).order_by("-pk").values_list("pk", flat=True).first()
    notice = Notice(agent=agent, kind=NoticeKind.ASSIGNED, ticket=row, about=f"event:{latest}", at=now, data={"number": row.number})
    Notice.objects.bulk_create([notice], ignore_conflicts=True)


def _must_fit(wanted: dict[str, Any]) -> None:
    errors = []
    if "subject" in wanted:
        wanted["subject"] = wanted["subject"].replace("\x00", "").strip()
        if is_blank(wanted["subject"]):
            errors.append({"field": "subject", "code": "required", "message": _("Enter a subject.")})
        elif len(wanted["subject"]) > MAX_SUBJECT:
            errors.append({"field": "subject", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_SUBJECT)})
    if "description" in wanted:
        wanted["description"] = wanted["description"].replace("\x00", "")
        if len(wanted["description"]) > MAX_DESCRIPTION:
            errors.append({"field": "description", "code": "too_long", "message": _("At most {n} characters.").format(n=MAX_DESCRIPTION)})
    if wanted.get("due_on") is not None and not is_day_in_range(wanted["due_on"]):
        errors.append({"field": "due_on", "code": "out_of_range", "message": _("Must be between 1970 and 2999.")})
    if "priority" in wanted and wanted["priority"] not in TicketPriority.values:
        errors.append({"field": "priority", "code": "invalid_choice", "message": _("Must be urgent, high, normal or low.")})
    if errors:
        raise Invalid(errors=errors)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    keys = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    return difference({key: before.get(key) for key in keys}, {key: after.get(key) for key in keys})


def _tagged(row: Ticket, names: list[str], *, by: Actor, now: datetime) -> dict[str, list[Any]]:
    before = sorted(row.tags.values_list("name", flat=True))
    tags = tags_named(names, tenant_id=row.tenant_id, by=by, now=now)
    after = sorted(tag.name for tag in tags)
    if before == after:
        return {}
    row.tags.set(tags)
    return {"tags": [before, after]}
