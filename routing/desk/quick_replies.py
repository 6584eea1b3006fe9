"""Quick replies: texts that agents send often, as Liquid templates with what is known of the conversation.

A text may use `customer.name`, `agent.name`, `ticket.number`, and of the conversation `id`, `subject`, `language`, `intent` and `entrance`.
What is not known is empty, so a text can say `{{ customer.name | default: "there" }}`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.ids import new_id
from posthaste.lib.liquid import TemplateProblem, compile_template, render, variables_used
from posthaste.lib.problems import Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.configuration.assignment_rules import LANGUAGE, WRONG_LANGUAGE
from routing.desk.seats import Seat
from routing.intents.titles import intent_titles
from routing.models import Conversation, QuickReply, SkillGroup, Ticket

FIELDS = ("shortcut", "title", "text", "language", "group")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "customer": ("name",),
    "agent": ("name",),
    "ticket": ("number",),
    "conversation": ("id", "subject", "language", "intent", "entrance"),
}
MAX_LISTED = 300


def quick_replies(tenant_id: int) -> "QuerySet[QuickReply]":
    """Return the tenant's quick replies, by shortcut."""
    return QuickReply.objects.filter(tenant_id=tenant_id).select_related("group").order_by("shortcut", "language", "pk")


def check_quick_reply(row: QuickReply) -> None:
    """Check a quick reply before it is stored.

    Raises:
        Invalid: the text is no template or uses something unknown, the shortcut is taken, or the language or the group is not there.
    """
    if not row.text.strip():
        raise Invalid.field("text", _("Must not be empty."), "blank")
    known = ", ".join(f"{name}.{part}" for name, parts in VARIABLES.items() for part in parts)
    try:
        unknown = variables_used(row.text) - set(VARIABLES)
        if unknown:
            raise Invalid.field("text", _("There is no {name}. Available: {known}.").format(name=", ".join(sorted(unknown)), known=known))
        render(compile_template(row.text), {name: dict.fromkeys(parts, "") for name, parts in VARIABLES.items()})
    except TemplateProblem as problem:
        raise Invalid.field("text", _("{problem}. Available: {known}.").format(problem=problem, known=known)) from None
    if row.language and not LANGUAGE.fullmatch(row.language):
        raise Invalid.field("language", _(WRONG_LANGUAGE))
    if row.group_id is not None and not SkillGroup.objects.filter(pk=row.group_id, tenant_id=row.tenant_id).exists():
        raise Invalid.field("group", _("There is no such group."), "does_not_exist")
    same = QuickReply.objects.filter(tenant_id=row.tenant_id, group_id=row.group_id, shortcut=row.shortcut, language=row.language)
    if same.exclude(pk=row.pk).exists():
        raise Invalid.field("shortcut", _("This shortcut is taken in this group and language."), "unique")


@transaction.atomic
def create_quick_reply(*, row: QuickReply, by: Actor, now: datetime) -> QuickReply:
    """Check and store a new quick reply.

    Raises:
        Invalid: as for `check_quick_reply`.
    """
    check_quick_reply(row)
    row.id, row.created_at, row.changed_at = new_id(), now, now
    row.save(force_insert=True)
    _record(row, Action.QUICK_REPLY_CREATE, by)
    return row


@transaction.atomic
def change_quick_reply(*, row: QuickReply, fields: Collection[str], by: Actor, now: datetime) -> QuickReply:
    """Check and store a changed quick reply; `fields` are of `FIELDS`.

    Raises:
        Invalid: as for `check_quick_reply`.
        NotFound: it was deleted meanwhile.
    """
    lock(row)
    check_quick_reply(row)
    row.changed_at = now
    row.save(update_fields=[*(name for name in FIELDS if name in fields), "changed_at"])
    _record(row, Action.QUICK_REPLY_CHANGE, by, fields=sorted(fields))
    return row


@transaction.atomic
def delete_quick_reply(*, row: QuickReply, by: Actor) -> None:
    """Delete a quick reply.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(row)
    _record(row, Action.QUICK_REPLY_DELETE, by)
    row.delete()


def _record(row: QuickReply, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=row.shortcut, tenant_id=row.tenant_id, detail={"id": str(row.pk), **detail})


def note_use(pk: UUID, *, tenant_id: int) -> bool:
    """Count a use of a quick reply; False: there is none."""
    return bool(QuickReply.objects.filter(pk=pk, tenant_id=tenant_id).update(uses=F("uses") + 1))


def offered(seat: Seat, conversation: Conversation | None) -> list[dict[str, Any]]:
    """Return the quick replies of all and of the seat's groups, filled in for a conversation, in its language first.

    Of the same shortcut, that of the group stands before that of all. A text that can't be filled in is left as it is.
    """
    found = quick_replies(seat.tenant_id)
    if not seat.sees_all:
        found = found.filter(Q(group=None) | Q(group_id__in=seat.group_ids))
    language = conversation.language if conversation else ""
    values = variables_of(conversation, seat) if conversation else None

    def order(row: QuickReply) -> tuple[bool, str, bool, int]:
        is_other = bool(language and row.language and not language.startswith(row.language.split("-")[0]))
        return is_other, row.shortcut, row.group_id is None, -row.uses

    rows = sorted(found[:MAX_LISTED], key=order)
    return [
        {
            "id": str(row.pk),
            "shortcut": row.shortcut,
            "title": row.title,
            "language": row.language,
            "text": _filled(row.text, values) if values is not None else row.text,
        }
        for row in rows
    ]


def _filled(text: str, values: Mapping[str, Any]) -> str:
    try:
        return render(compile_template(text), values)
    except TemplateProblem:
        return text


def variables_of(conversation: Conversation, seat: Seat) -> dict[str, dict[str, str]]:
    """Return what texts can use of a conversation; what is not known is empty."""
    ticket = Ticket.objects.filter(conversation=conversation).order_by("-pk").values_list("number", flat=True).first()
    titles = intent_titles([seat.tenant_id])[seat.tenant_id]
    return {
        "customer": {"name": conversation.customer.name or conversation.identity.name},
        "agent": {"name": seat.agent.name if seat.agent else ""},
        "ticket": {"number": str(ticket or "")},
        "conversation": {
            "id": str(conversation.pk),
            "subject": conversation.subject,
            "language": conversation.language,
            "intent": titles.get(conversation.intent, conversation.intent),
            "entrance": conversation.entrance.name,
        },
    }
