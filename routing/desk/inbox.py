"""Which conversations are in a view of the inbox, and in which order. One query finds their ids, whatever is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce, Greatest
from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.desk.searching import among_all, among_open
from routing.desk.seats import Seat
from routing.models import OPEN_STATUSES, Clock, ClockState, Conversation, ConversationStatus

MAX_IDS = 10_000
#: Of what is over, so many are listed.
MAX_OVER = 2_000
MAX_SEARCHED = 100
VIEWS = ("mine", "team", "unassigned", "waiting", "breaching", "snoozed", "all", "resolved")
SORTS = ("oldest", "newest", "due")
UNASSIGNED = (ConversationStatus.NEW, ConversationStatus.BOT, ConversationStatus.QUEUED)
OVER = (ConversationStatus.RESOLVED, ConversationStatus.CLOSED, ConversationStatus.SPAM)
OPEN_CLOCKS = (ClockState.RUNNING, ClockState.PAUSED)
BY_ID = ("group", "agent", "entrance")
FIELDS = ("view", "q", "group", "agent", "tag", "intent", "language", "entrance", "priority", "sort")


@dataclass(frozen=True, slots=True)
class Query:
    """What an inbox is asked for; a saved filter keeps one."""

    view: str = "mine"
    q: str = ""
    group: str = ""
    agent: str = ""
    tag: str = ""
    intent: str = ""
    language: str = ""
    entrance: str = ""
    priority: str = ""
    sort: str = "oldest"

    def as_dict(self) -> dict[str, str]:
        """Return what differs from an inbox without a filter."""
        return {name: getattr(self, name) for name in FIELDS if getattr(self, name) and (name, getattr(self, name)) != ("sort", "oldest")}


def parse(given: Mapping[str, Any]) -> Query:
    """Return a query from parameters of an address, or from a saved filter.

    Raises:
        Invalid: naming each wrong parameter.
    """
    values = {name: str(given.get(name) or "").replace("\x00", "").strip() for name in FIELDS if given.get(name)}
    errors = []
    for name, known in (("view", VIEWS), ("sort", SORTS)):
        if name in values and values[name] not in known:
            errors.append((name, _("Must be one of {values}.").format(values=", ".join(known))))
    errors += [(name, _("Must be an id or none.")) for name in BY_ID if name in values and not _is_id(values[name])]
    if "priority" in values and not (values["priority"].isdecimal() and len(values["priority"]) <= 2 and int(values["priority"]) <= 10):
        errors.append(("priority", _("Between {least} and {most}.").format(least=0, most=10)))
    if len(values.get("q", "")) > MAX_SEARCHED:
        errors.append(("q", _("At most {n} characters.").format(n=MAX_SEARCHED)))
    if errors:
        raise Invalid(errors=[{"field": name, "code": "invalid", "message": said} for name, said in errors])
    return Query(**values)


def _is_id(text: str) -> bool:
    try:
        return text == "none" or bool(UUID(text))
    except ValueError:
        return False


def ids(query: Query, seat: Seat, *, now: datetime) -> list[str]:
    """Return the ids of the conversations in a view, in its order. They are made no objects of: there may be thousands."""
    is_past = _is_of_the_past(query)
    found = _ordered(rows(query, seat, now=now), "past" if is_past else query.sort).values_list(Cast("pk", CharField()), flat=True)
    most = MAX_OVER if is_past else MAX_IDS
    return [text if len(text) == 36 else f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" for text in found[:most]]


def rows(query: Query, seat: Seat, *, now: datetime) -> "QuerySet[Conversation]":
    """Return the conversations in a view, in no order."""
    found = Conversation.objects.filter(_in_view(query, seat, now), seat.visible, tenant_id=seat.tenant_id, parent=None)
    for name in BY_ID:
        if value := getattr(query, name):
            found = found.filter(**{f"{name}_id": None if value == "none" else UUID(value)})
    if query.tag:
        found = found.filter(Exists(Conversation.tags.through.objects.filter(conversation=OuterRef("pk"), tag__name=query.tag)))
    if query.intent:
        found = found.filter(intent="" if query.intent == "none" else query.intent)
    if query.language:
        found = found.filter(language__startswith=query.language)
    if query.priority:
        found = found.filter(priority=int(query.priority))
    if query.q:
        is_past = _is_of_the_past(query)
        found = found.filter(among_all(query.q, seat.tenant_id, now=now) if is_past else among_open(query.q, seat.tenant_id))
    return found


def late(tenant_id: int) -> Q:
    """Return the condition for conversations of which an open clock has warned or is over its time."""
    told = Q(warned_at__isnull=False) | Q(breached_at__isnull=False)
    clocks = Clock.objects.filter(told, tenant_id=tenant_id, state__in=OPEN_CLOCKS, conversation__isnull=False)
    return Q(pk__in=clocks.values("conversation"))


def _is_of_the_past(query: Query) -> bool:
    """Return whether conversations that are over are looked through."""
    return query.view == "resolved" or (query.view == "all" and bool(query.q))


def _in_view(query: Query, seat: Seat, now: datetime) -> Q:
    if query.view == "resolved":
        return Q(status__in=OVER)
    if _is_of_the_past(query):
        return Q()
    is_open, awake = Q(status__in=OPEN_STATUSES), Q(snoozed_until=None) | Q(snoozed_until__lte=now)
    held = Q(status=ConversationStatus.ASSIGNED)
    match query.view:
        case "mine":
            return is_open & held & Q(agent_id=seat.agent_id) & awake if seat.agent else Q(pk=None)
        case "team":
            return is_open & awake & (Q(group_id__in=seat.group_ids) if seat.group_ids else Q())
        case "unassigned":
            return is_open & Q(status__in=UNASSIGNED)
        case "waiting":
            return is_open & held & Q(unanswered_since=None) & awake
        case "breaching":
            return is_open & late(seat.tenant_id)
        case "snoozed":
            return is_open & Q(snoozed_until__gt=now)
    return is_open


def _ordered(found: "QuerySet[Conversation]", sort: str) -> "QuerySet[Conversation]":
    match sort:
        case "past":  # by the index of a tenant's conversations: there may be millions
            return found.order_by("-pk")
        case "newest":
            began = F("created_at")
            written = Greatest(Coalesce(F("customer_wrote_at"), began), Coalesce(F("agent_wrote_at"), began))
            return found.order_by(written.desc(), "-pk")
        case "due":
            clocks = Clock.objects.filter(conversation=OuterRef("pk"), state=ClockState.RUNNING, due_at__isnull=False)
            due = Subquery(clocks.order_by("due_at").values("due_at")[:1])
            return found.alias(due=due).order_by(F("due").asc(nulls_last=True), F("unanswered_since").asc(nulls_last=True), "pk")
    return found.order_by(F("unanswered_since").asc(nulls_last=True), "pk")
