"""What the buttons and forms of a ticket's page do: each is one service."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from accounts.staff.lists import as_uuid
from posthaste.lib.problems import Invalid, NotFound
from routing.desk import writing
from routing.desk.ticket_access import Reader
from routing.desk.ticket_forms import AssignForm, EditForm
from routing.models import Agent, Ticket
from routing.tickets import changing, checklist, finding, linking, merging, notes, opening, progress


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form of the page sent."""

    ticket: Ticket
    reader: Reader
    given: QueryDict
    by: Actor
    now: datetime

    @property
    def version(self) -> int | None:
        """The version that the page showed."""
        text = self.given.get("version", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None

    @property
    def common(self) -> dict[str, Any]:
        """What every service takes."""
        return {"ticket": self.ticket, "by": self.by, "now": self.now}

    @property
    def me(self) -> Agent | None:
        """The agent that the reader is."""
        return self.reader.agent_in(self.ticket.tenant_id)

    def other(self) -> Ticket:
        """Return the ticket whose number was typed.

        Raises:
            Invalid: there is none.
        """
        number = finding.number_in(self.given.get("number", ""))
        found = finding.tickets(self.ticket.tenant_id).filter(number=number).first() if number is not None else None
        if found is None:
            raise Invalid(_("There is no ticket with this number."))
        return found

    def row_id(self, name: str) -> UUID:
        """Return the id of a row that a button names.

        Raises:
            NotFound: it is none.
        """
        found = as_uuid(self.given.get(name, ""))
        if found is None:
            raise NotFound
        return found


def edit(asked: Asked, form: EditForm) -> None:
    """Store what a ticket's form says.

    Raises:
        Invalid, Conflict: the service's.
    """
    changing.change(values=cast(Any, form.values()), version=asked.version, **asked.common)


def move(asked: Asked, action: str) -> str:
    """Move the ticket on."""
    more: dict[str, Any] = {}
    if action == "begin" and asked.ticket.agent is None:
        more["agent"] = asked.me
    if action == "resolve":
        more["force"] = "force" in asked.given
    row = progress.ACTIONS[action](version=asked.version, **more, **asked.common)
    return _("The ticket is “{status}” now.").format(status=row.get_status_display())


def take(asked: Asked) -> str:
    """Give the ticket to the reader."""
    if asked.me is None:
        raise Invalid(_("You are not an agent here."))
    changing.assign(agent=asked.me, version=asked.version, **asked.common)
    return _("The ticket is yours now.")


def assign(asked: Asked) -> str:
    """Give the ticket to an agent, or to the queue of a group."""
    form = AssignForm(asked.given, tenant_id=asked.ticket.tenant_id)
    if not form.is_valid():
        raise Invalid(_("There is no such agent or group."))
    row = changing.assign(agent=form.cleaned_data["agent"], group=form.cleaned_data["group"], version=asked.version, **asked.common)
    return _("{who} has the ticket now.").format(who=row.agent or row.group)


def note(asked: Asked) -> str:
    """Write a note."""
    notes.add_note(text=asked.given.get("text", ""), agent=asked.me, client_id=asked.given.get("client_id", "")[:64], **asked.common)
    return _("The note was written.")


def write(asked: Asked) -> str:
    """Write to the customer."""
    if asked.me is None:
        raise Invalid(_("Only agents do this. Add yourself to the agents first."))
    given = asked.given
    writing.write_to_customer(
        agent=asked.me,
        identity_id=asked.row_id("to"),
        subject=given.get("subject", ""),
        text=given.get("text", ""),
        client_id=given.get("client_id", "")[:64],
        **asked.common,
    )
    return _("It is on its way to the customer.")


def tick(asked: Asked) -> str:
    """Say whether an item of the checklist is done."""
    checklist.tick(item_id=asked.row_id("item"), done=asked.given.get("done") == "1", **asked.common)
    return _("Saved.")


def add_item(asked: Asked) -> str:
    """Add an item to the checklist."""
    checklist.add_item(text=asked.given.get("text", ""), **asked.common)
    return _("Saved.")


def remove_item(asked: Asked) -> str:
    """Remove an item of the checklist."""
    checklist.remove_item(item_id=asked.row_id("item"), **asked.common)
    return _("Saved.")


def link(asked: Asked) -> str:
    """Link the ticket to another."""
    linking.link(other=asked.other(), kind=asked.given.get("kind", ""), **asked.common)
    return _("The tickets are linked.")


def unlink(asked: Asked) -> str:
    """Remove a link."""
    text = asked.given.get("link", "")
    linking.unlink(link_id=int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0, **asked.common)
    return _("The link was removed.")


def watch(asked: Asked) -> str:
    """Have the reader told of what happens, or not any more."""
    if asked.me is None:
        raise Invalid(_("You are not an agent here."))
    if "stop" in asked.given:
        linking.unwatch(agent=asked.me, **asked.common)
        return _("You will no longer be notified about this ticket.")
    linking.watch(agent=asked.me, **asked.common)
    return _("You will be notified about changes to this ticket.")


def merge(asked: Asked) -> str:
    """Merge the ticket into another."""
    across = asked.given.get("across_customers") == "1"
    target = merging.merge(into=asked.other(), across_customers=across, version=asked.version, **asked.common)
    return _("Merged into #{n}. It can be undone here.").format(n=target.number)


def undo_merge(asked: Asked) -> str:
    """Take a merge back."""
    merging.undo_merge(**asked.common)
    return _("The merge was undone.")


ACTIONS: dict[str, Callable[[Asked], str]] = {
    "take": take,
    "assign": assign,
    "note": note,
    "write": write,
    "tick": tick,
    "add_item": add_item,
    "remove_item": remove_item,
    "link": link,
    "unlink": unlink,
    "watch": watch,
    "merge": merge,
    "unmerge": undo_merge,
}


def follow_up(asked: Asked) -> Ticket:
    """Open a follow-up, and return it."""
    return opening.follow_up(**asked.common)
