"""What the API takes and shows of tickets."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.dates import is_day_in_range
from routing.api.conversations.serializers import NamedOut
from routing.models import (
    ChecklistItem,
    Note,
    Tag,
    Ticket,
    TicketEvent,
    TicketPriority,
    TicketStatus,
)
from routing.tickets.finding import Linked
from routing.tickets.linking import BY_HAND
from routing.tickets.notes import MAX_MENTIONS
from routing.tickets.progress import ACTIONS
from routing.tickets.transitions import may_follow
from routing.tickets.types import MAX_TAGS

SLUG = r"^[-a-zA-Z0-9_]+\Z"
ACTION_CHOICES = [(name, name) for name in ACTIONS]
LINK_CHOICES = [(str(one), one.label) for one in BY_HAND]
NEW_TICKET = OpenApiExample(
    "A refund",
    {"type": "refund", "subject": "Charged twice", "fields": {"order": "A-1042"}, "tags": ["vip"], "priority": "high"},
    request_only=True,
)


class TicketOut(serializers.ModelSerializer[Ticket]):
    """A ticket in a list."""

    type = serializers.CharField(source="type.name", help_text="Short name.")
    kind = serializers.CharField(source="type.kind")
    customer = serializers.SerializerMethodField()
    group = serializers.SerializerMethodField(help_text="Short name.")
    agent = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    fields = serializers.DictField(help_text="Values of the type's own fields, by key.")  # type: ignore[assignment]  # the ticket's

    class Meta:
        model = Ticket
        fields = [
            "id", "number", "type", "kind", "status", "priority", "subject", "customer", "conversation", "group", "agent", "tags", "fields",
            "due_on", "merged_into", "version", "created_at", "changed_at", "resolved_at", "closed_at",
        ]  # fmt: skip

    @extend_schema_field(NamedOut(allow_null=True))
    def get_customer(self, row: Ticket) -> dict[str, Any] | None:
        return {"id": str(row.customer.pk), "name": row.customer.name} if row.customer else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_group(self, row: Ticket) -> str | None:
        return row.group.name if row.group else None

    @extend_schema_field(NamedOut(allow_null=True))
    def get_agent(self, row: Ticket) -> dict[str, Any] | None:
        return {"id": str(row.agent.pk), "name": row.agent.name} if row.agent else None

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_tags(self, row: Ticket) -> list[str]:
        return sorted(tag.name for tag in row.tags.all())


class TicketWholeOut(TicketOut):
    """A ticket, whole."""

    possible = serializers.SerializerMethodField(help_text="Statuses that may follow.")

    class Meta(TicketOut.Meta):
        fields = [*TicketOut.Meta.fields, "description", "opened_by", "possible"]

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=TicketStatus.choices)))
    def get_possible(self, row: Ticket) -> list[str]:
        return [] if row.merged_into_id else [str(one) for one in may_follow(row.status)]


class DayField(serializers.DateField):
    """A day that the platform can work with."""

    def to_internal_value(self, value: Any) -> Any:
        found = super().to_internal_value(value)
        if not is_day_in_range(found):
            self.fail("invalid", format="YYYY-MM-DD")
        return found


class TicketChangeIn(Body):
    """What changes a ticket. `version` is the one that you read: if it was changed since, you get 409 `ticket_changed`."""

    subject = serializers.CharField(max_length=300, required=False)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=TicketPriority.choices, required=False)
    due_on = DayField(required=False, allow_null=True)
    tags = BoundedList(child=serializers.CharField(max_length=50), max_length=MAX_TAGS, required=False, help_text="All names.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the ticket's
        child=serializers.JSONField(allow_null=True), required=False, help_text="By key; null removes a value."
    )
    group = serializers.RegexField(SLUG, max_length=80, required=False, allow_null=True, help_text="Short name.")
    agent = serializers.CharField(max_length=150, required=False, allow_null=True, help_text="An agent's id or user name.")
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class TicketIn(TicketChangeIn):
    """What opens a ticket."""

    type = serializers.RegexField(SLUG, max_length=80, help_text="Short name of the type.")
    subject = serializers.CharField(max_length=300)
    customer = serializers.UUIDField(required=False, allow_null=True)
    conversation = serializers.UUIDField(required=False, allow_null=True, help_text="Where it is talked about.")
    version = None  # type: ignore[assignment]  # a new one has none


class WorkOrderIn(Body):
    """What opens a work order."""

    type = serializers.RegexField(SLUG, max_length=80, help_text="Short name of a type of work orders.")
    subject = serializers.CharField(max_length=300)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    priority = serializers.ChoiceField(choices=TicketPriority.choices, required=False)
    due_on = DayField(required=False, allow_null=True)
    fields = serializers.DictField(child=serializers.JSONField(allow_null=True), required=False)  # type: ignore[assignment]  # the ticket's
    group = serializers.RegexField(SLUG, max_length=80, required=False, allow_null=True, help_text="Without it, the type's group.")


class FollowUpIn(Body):
    """What a follow-up says; without a subject it has that of the ticket before."""

    subject = serializers.CharField(max_length=300, required=False)
    description = serializers.CharField(max_length=20_000, required=False, allow_blank=True)


class AssignIn(Body):
    """Who gets a ticket: an agent, or the queue of a group."""

    agent = serializers.CharField(max_length=150, required=False, help_text="An agent's id or user name.")
    group = serializers.RegexField(SLUG, max_length=80, required=False, help_text="Short name.")
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class MoveIn(Body):
    """What is done with a ticket."""

    action = serializers.ChoiceField(choices=ACTION_CHOICES)
    agent = serializers.CharField(max_length=150, required=False, help_text="With `begin`: who takes it, by id or user name.")
    force = serializers.BooleanField(default=False, help_text="With `resolve`: although something is not done.")
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class MergeIn(Body):
    """Which ticket goes on."""

    into = serializers.CharField(max_length=40, help_text="A ticket's id, or its number.")
    across_customers = serializers.BooleanField(default=False, help_text="Also if the tickets are of different customers.")
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False)


class TicketEventOut(serializers.ModelSerializer[TicketEvent]):
    """Something that happened."""

    ticket = serializers.IntegerField(source="ticket.number", help_text="Number; that of a ticket that was merged into this one, too.")
    data = serializers.DictField(  # type: ignore[assignment]  # the event's
        help_text="`changes` by field, each with the value before and after, and what else the kind has."
    )

    class Meta:
        model = TicketEvent
        fields = ["id", "ticket", "kind", "actor", "data", "at"]


class TicketNoteOut(serializers.ModelSerializer[Note]):
    """A note."""

    agent = serializers.SerializerMethodField()
    ticket = serializers.IntegerField(source="ticket.number", help_text="Number; that of a ticket that was merged into this one, too.")

    class Meta:
        model = Note
        fields = ["id", "ticket", "agent", "written_by", "text", "created_at"]

    @extend_schema_field(NamedOut(allow_null=True))
    def get_agent(self, row: Note) -> dict[str, Any] | None:
        return {"id": str(row.agent.pk), "name": row.agent.name} if row.agent else None


class TicketNoteIn(Body):
    """A note to write. Sent again under its `client_id`, it is the same note."""

    text = serializers.CharField(max_length=20_000)
    agent = serializers.CharField(max_length=150, required=False, help_text="Who writes it, by id or user name.")
    mentions = BoundedList(child=serializers.UUIDField(), max_length=MAX_MENTIONS, default=list, help_text="Ids of agents who are told.")
    client_id = serializers.CharField(max_length=64, default="", allow_blank=True)


class LinkedTicketOut(serializers.Serializer[Any]):
    """What a list of links shows of a ticket."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    subject = serializers.CharField()
    status = serializers.ChoiceField(choices=TicketStatus.choices)


class TicketLinkOut(serializers.Serializer[Linked]):
    """What another ticket is to this one."""

    id = serializers.IntegerField(source="link.pk")
    kind = serializers.CharField(source="link.kind")
    is_reverse = serializers.BooleanField(help_text="The other ticket is this to the one that you asked for.")
    ticket = serializers.SerializerMethodField()

    @extend_schema_field(LinkedTicketOut)
    def get_ticket(self, row: Linked) -> dict[str, Any]:
        other = row.ticket
        return {"id": str(other.pk), "number": other.number, "subject": other.subject, "status": other.status}


class TicketLinkIn(Body):
    """A link to make."""

    other = serializers.CharField(max_length=40, help_text="A ticket's id, or its number.")
    kind = serializers.ChoiceField(choices=LINK_CHOICES, default="related")


class WatcherIn(Body):
    """Who watches."""

    agent = serializers.CharField(max_length=150, help_text="An agent's id or user name.")


class ChecklistItemOut(serializers.ModelSerializer[ChecklistItem]):
    """An item of the checklist."""

    class Meta:
        model = ChecklistItem
        fields = ["id", "place", "text", "done_at", "done_by"]


class ChecklistItemIn(Body):
    """An item to add."""

    text = serializers.CharField(max_length=300)


class TickIn(Body):
    """Whether an item is done."""

    done = serializers.BooleanField()


class TagOut(serializers.ModelSerializer[Tag]):
    """A tag."""

    class Meta:
        model = Tag
        fields = ["id", "name", "created_at"]


class TagIn(Body):
    """A tag's name."""

    name = serializers.CharField(max_length=50)
