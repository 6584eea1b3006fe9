"""What the API takes and shows of conversations."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.filters import Query, WholeNumber
from routing.conversations import selectors
from routing.conversations.attachments import MAX_FILES, served_type
from routing.conversations.masking import mask_identity, mask_sender
from routing.conversations.replies import MAX_TEXT
from routing.models import Arrival, Attachment, Conversation, IdentityKind, Line

MOST_SEQ = 2_147_483_647


class IdentityShown(serializers.Serializer[Any]):
    """The identity that writes, and that replies go to."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=IdentityKind.choices)
    value = serializers.CharField(help_text="Masked in lists.")
    name = serializers.CharField()


class NamedOut(serializers.Serializer[Any]):
    """A row by its id and name."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class ConversationOut(serializers.ModelSerializer[Conversation]):
    """A conversation in a list: the identity masked."""

    customer = NamedOut()
    identity = serializers.SerializerMethodField()
    entrance = NamedOut()
    group: "serializers.SlugRelatedField[Any]" = serializers.SlugRelatedField(
        slug_field="name", read_only=True, allow_null=True, help_text="The group's short name."
    )
    agent = NamedOut(allow_null=True)

    class Meta:
        model = Conversation
        fields = [
            "id",
            "status",
            "customer",
            "identity",
            "entrance",
            "subject",
            "language",
            "intent",
            "confidence",
            "priority",
            "group",
            "agent",
            "last_seq",
            "customer_read_seq",
            "agent_read_seq",
            "queued_at",
            "assigned_at",
            "customer_wrote_at",
            "unanswered_since",
            "agent_wrote_at",
            "resolved_at",
            "created_at",
        ]

    def shown(self, conversation: Conversation) -> str:
        """Return the identity's value as this answer shows it."""
        return mask_identity(conversation.identity.kind, conversation.identity.value)

    @extend_schema_field(IdentityShown)
    def get_identity(self, conversation: Conversation) -> dict[str, Any]:
        identity = conversation.identity
        return {"id": identity.pk, "kind": identity.kind, "value": self.shown(conversation), "name": identity.name}


class ConversationDetailOut(ConversationOut):
    """One conversation, its identity whole."""

    tags = serializers.SerializerMethodField()
    about = serializers.UUIDField(source="parent_id", allow_null=True, help_text="Of one with others: the conversation that it is about.")

    class Meta(ConversationOut.Meta):
        fields = [*ConversationOut.Meta.fields, "tags", "snoozed_until", "merged_into", "about"]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_tags(self, conversation: Conversation) -> list[str]:
        return sorted(conversation.tags.values_list("name", flat=True))

    def shown(self, conversation: Conversation) -> str:
        return conversation.identity.value


class AttachmentOut(serializers.ModelSerializer[Attachment]):
    """A file; download it at `/api/attachments/{id}/`."""

    type = serializers.SerializerMethodField(help_text="As its bytes tell, if a browser may know it.")

    class Meta:
        model = Attachment
        fields = ["id", "name", "type", "size", "sha256", "created_at"]

    def get_type(self, file: Attachment) -> str:
        return served_type(file.content_type)


class ConversationLineOut(serializers.ModelSerializer[Line]):
    """One line."""

    agent = NamedOut(allow_null=True)
    files = AttachmentOut(source="attachments", many=True)
    trace_id = serializers.SerializerMethodField(help_text="Of the message that carried a reply: see `/api/messages/{id}/trace/`.")

    class Meta:
        model = Line
        fields = [
            "id",
            "seq",
            "author",
            "agent",
            "text",
            "files",
            "client_id",
            "message_id",
            "trace_id",
            "recognition",
            "data",
            "created_at",
        ]

    def get_trace_id(self, line: Line) -> str | None:
        return line.message_id.hex if line.message_id else None


class LinesQuery(Query):
    """Which lines are wanted."""

    after_seq = WholeNumber(default=0, min_value=0, max_value=MOST_SEQ, help_text="Only lines behind this number.")
    limit = WholeNumber(default=selectors.PAGE, min_value=1, max_value=selectors.PAGE)


class ConversationLinesOut(serializers.Serializer[Any]):
    """Lines in order. If `last_seq` is more than the number of the last one, ask again behind that."""

    results = ConversationLineOut(many=True)
    last_seq = serializers.IntegerField()


class ReplyIn(Body):
    """A reply."""

    text = serializers.CharField(default="", allow_blank=True, max_length=MAX_TEXT, trim_whitespace=False)
    files = BoundedList(
        child=serializers.UUIDField(), default=list, max_length=MAX_FILES, help_text="Ids of files uploaded with the same key."
    )
    client_id = serializers.CharField(
        default="", allow_blank=True, max_length=250, help_text="Sent again under the same id, it is one line."
    )
    seen_seq = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MOST_SEQ,
        help_text="The last line that the author has seen. If another agent or bot replied after it, this reply is refused (409).",
    )
    agent = serializers.CharField(
        max_length=150, required=False, allow_null=True, help_text="Who writes, by id or user name. Null: a system, shown as a bot."
    )


class ReadIn(Body):
    """Up to which line the agents have read."""

    seq = serializers.IntegerField(min_value=1, max_value=MOST_SEQ)


class TypingIn(Body):
    """Who writes."""

    agent = serializers.CharField(max_length=150, required=False, allow_null=True, help_text="Id or user name.")


class CorrectionIn(Body):
    """What a line really wanted."""

    intent = serializers.CharField(allow_blank=True, max_length=80, help_text="The intent's short name. Empty: out of scope.")
    seq = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MOST_SEQ, help_text="The line. Empty: the customer's first."
    )


class UploadIn(serializers.Serializer[Any]):
    """A file as a multipart form sends it."""

    file = serializers.FileField()


class ArrivalOut(serializers.ModelSerializer[Arrival]):
    """Something that came in: how far it is, not what it says."""

    entrance = NamedOut()
    sender = serializers.SerializerMethodField(help_text="Masked.")

    class Meta:
        model = Arrival
        fields = ["id", "entrance", "external_id", "sender", "state", "attempts", "error", "line_id", "received_at", "finished_at"]

    def get_sender(self, arrival: Arrival) -> str:
        return mask_sender(arrival.sender)
