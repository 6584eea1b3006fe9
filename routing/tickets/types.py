"""Create, change and delete ticket types and tags."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.blank import is_blank
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.models import SkillGroup, Tag, Ticket, TicketPriority, TicketType
from routing.tickets.fields import checked_definitions

TYPE_FIELDS = ("name", "title", "title_zh", "kind", "fields", "checklist", "priority", "group", "is_public", "is_active")
MAX_ITEMS = 100
MAX_ITEM_CHARACTERS = 300
MAX_TAGS = 50
MAX_TAG_CHARACTERS = 50


# --- types -----------------------------------------------------------------------------------------------------------


def title_of(kind: TicketType) -> str:
    """Return what a type is called in the reader's language."""
    return kind.title_zh if kind.title_zh and (get_language() or "").startswith("zh") else kind.title


@transaction.atomic
def create_type(*, kind: TicketType, by: Actor, now: datetime) -> TicketType:
    """Check and store a new ticket type.

    Raises:
        Invalid: naming each wrong field.
    """
    check_type(kind)
    kind.created_at = now
    kind.save(force_insert=True)
    _record(kind, Action.TICKET_TYPE_CREATE, by)
    return kind


@transaction.atomic
def change_type(*, kind: TicketType, fields: Iterable[str], by: Actor) -> TicketType:
    """Check and store a changed ticket type; `fields` are of `TYPE_FIELDS`. Tickets keep what stands in their fields.

    Raises:
        Invalid: naming each wrong field.
        NotFound: it was deleted meanwhile.
    """
    changed = [name for name in TYPE_FIELDS if name in set(fields)]
    lock(kind)
    check_type(kind)
    kind.save(update_fields=changed)
    _record(kind, Action.TICKET_TYPE_CHANGE, by, fields=changed)
    return kind


@transaction.atomic
def delete_type(*, kind: TicketType, by: Actor) -> None:
    """Delete a type that no ticket has.

    Raises:
        Conflict: tickets have it; it can be switched off.
        NotFound: it was deleted meanwhile.
    """
    lock(kind)
    if number := Ticket.objects.filter(type=kind).count():
        raise Conflict(_("{n} tickets have this type. Switch it off instead.").format(n=number), tickets=number)
    _record(kind, Action.TICKET_TYPE_DELETE, by)
    kind.delete()


def check_type(kind: TicketType) -> None:
    """Check a type before it is stored.

    Raises:
        Invalid: the name is taken, the group is of another tenant, or its fields or checklist are wrong.
    """
    if TicketType.objects.filter(tenant_id=kind.tenant_id, name=kind.name).exclude(pk=kind.pk).exists():
        raise Invalid.field("name", _("There is already a type with this name."), "unique")
    if kind.group_id is not None and not SkillGroup.objects.filter(pk=kind.group_id, tenant_id=kind.tenant_id).exists():
        raise Invalid.field("group", _("There is no such group."), "does_not_exist")
    if kind.priority not in TicketPriority.values:
        raise Invalid.field("priority", _("Must be urgent, high, normal or low."), "invalid_choice")
    if not isinstance(kind.fields, list) or not all(isinstance(one, Mapping) for one in kind.fields):
        raise Invalid.field("fields", _("Must be a list of fields."))
    kind.fields = checked_definitions(kind.fields)
    kind.checklist = checked_items(kind.checklist)


def checked_items(items: Any) -> list[str]:
    """Return the texts of a checklist, checked.

    Raises:
        Invalid: they are too many, or one is too long.
    """
    if not isinstance(items, list) or not all(isinstance(one, str) for one in items):
        raise Invalid.field("checklist", _("Must be a list of texts."))
    found = [one.strip() for one in items if not is_blank(one)]
    if len(found) > MAX_ITEMS:
        raise Invalid.field("checklist", _("At most {n} entries.").format(n=MAX_ITEMS), "too_many")
    if any(len(one) > MAX_ITEM_CHARACTERS for one in found):
        raise Invalid.field("checklist", _("At most {n} characters an entry.").format(n=MAX_ITEM_CHARACTERS), "too_long")
    return found


def _record(kind: TicketType, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=kind.name, tenant_id=kind.tenant_id, detail=detail)


# --- tags ------------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_tag(*, tag: Tag, by: Actor, now: datetime) -> Tag:
    """Check and store a new tag.

    Raises:
        Invalid: the name is empty or taken.
    """
    check_tag(tag)
    tag.created_at = now
    tag.save(force_insert=True)
    audit.record(by=by, action=Action.TAG_CREATE, target=tag.name, tenant_id=tag.tenant_id)
    return tag


@transaction.atomic
def change_tag(*, tag: Tag, by: Actor) -> Tag:
    """Give a tag another name; what is marked with it stays marked.

    Raises:
        Invalid: the name is empty or taken.
        NotFound: it was deleted meanwhile.
    """
    lock(tag)
    check_tag(tag)
    tag.save(update_fields=["name"])
    audit.record(by=by, action=Action.TAG_CHANGE, target=tag.name, tenant_id=tag.tenant_id)
    return tag


@transaction.atomic
def delete_tag(*, tag: Tag, by: Actor) -> None:
    """Delete a tag, and take it off all that is marked with it.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(tag)
    audit.record(by=by, action=Action.TAG_DELETE, target=tag.name, tenant_id=tag.tenant_id)
    tag.delete()


def check_tag(tag: Tag) -> None:
    """Check a tag before it is stored.

    Raises:
        Invalid: the name is empty or taken.
    """
    tag.name = checked_tags([tag.name], field="name")[0]
    if Tag.objects.filter(tenant_id=tag.tenant_id, name=tag.name).exclude(pk=tag.pk).exists():
        raise Invalid.field("name", _("There is already a tag with this name."), "unique")


def checked_tags(names: Sequence[str], *, field: str = "tags") -> list[str]:
    """Return names of tags without blanks around them, each once.

    Raises:
        Invalid: one is empty or too long, or there are too many.
    """
    found = list(dict.fromkeys(" ".join(name.split()) for name in names))
    if len(found) > MAX_TAGS:
        raise Invalid.field(field, _("At most {n} entries.").format(n=MAX_TAGS), "too_many")
    for name in found:
        if is_blank(name) or "," in name or "\x00" in name:
            raise Invalid.field(field, _("A tag is a word or two, without commas."))
        if len(name) > MAX_TAG_CHARACTERS:
            raise Invalid.field(field, _("At most {n} characters.").format(n=MAX_TAG_CHARACTERS), "too_long")
    return found


def tags_named(names: Collection[str], *, tenant_id: int, by: Actor, now: datetime) -> list[Tag]:
    """Return the tags with these names, those that are missing made; in the caller's transaction.

    Raises:
        Invalid: as for `checked_tags`.
    """
    wanted = checked_tags(list(names))
    known = set(Tag.objects.filter(tenant_id=tenant_id, name__in=wanted).values_list("name", flat=True))
    new = [Tag(tenant_id=tenant_id, name=name, created_at=now) for name in wanted if name not in known]
    # Another may make the same tag at this moment.
    Tag.objects.bulk_create(new, ignore_conflicts=True)
    for tag in new:
        audit.record(by=by, action=Action.TAG_CREATE, target=tag.name, tenant_id=tenant_id)
    return list(Tag.objects.filter(tenant_id=tenant_id, name__in=wanted))
