"""What the API takes and shows of quick replies."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body
from routing.models import QuickReply

SLUG = r"^[-a-zA-Z0-9_]+\Z"


class QuickReplyOut(serializers.ModelSerializer[QuickReply]):
    """A text that agents send often; `text` is a Liquid template."""

    group = serializers.SerializerMethodField(help_text="Short name of the skill group. Null: all agents.")

    class Meta:
        model = QuickReply
        fields = ["id", "shortcut", "title", "text", "language", "group", "uses", "created_at", "changed_at"]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_group(self, row: QuickReply) -> str | None:
        return row.group.name if row.group else None


class QuickReplyIn(Body):
    """What makes a quick reply."""

    shortcut = serializers.RegexField(SLUG, max_length=40, help_text="What agents type after a slash.")
    title = serializers.CharField(max_length=100)
    text = serializers.CharField(
        max_length=4_000,
        help_text="Liquid with customer.name, agent.name, ticket.number and conversation.id, subject, language, intent, entrance.",
    )
    language = serializers.RegexField(
        r"^([a-z]{2,3}(-[a-zA-Z0-9]{2,8})*)?\Z", max_length=16, required=False, allow_blank=True, help_text="Such as en or zh. Empty: all."
    )
    group = serializers.RegexField(SLUG, max_length=80, required=False, allow_null=True, help_text="Short name. Null: all agents.")
