"""What the API takes and shows of the suppression list."""

from typing import Any, TypedDict

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from messaging.channels.recipients import KINDS, kind_of
from messaging.channels.registry import CHANNEL_CHOICES
from messaging.configuration.delivery import CATEGORY
from messaging.models import Suppression, SuppressionReason
from messaging.suppression.suppressions import MAX_AT_ONCE, masked
from posthaste.lib.dates import within_range


class SuppressionOut(serializers.ModelSerializer[Suppression]):
    """An entry in a list: the recipient masked."""

    recipient = serializers.SerializerMethodField()
    kind = serializers.SerializerMethodField()

    class Meta:
        model = Suppression
        fields = ["id", "recipient", "kind", "channel", "category", "reason", "message_id", "created_by", "created_at", "expires_at"]

    def get_recipient(self, entry: Suppression) -> str:
        return masked(entry.recipient, entry.channel)

    @extend_schema_field(serializers.ChoiceField(choices=KINDS))
    def get_kind(self, entry: Suppression) -> str:
        return kind_of(entry.recipient)


class SuppressionDetailOut(SuppressionOut):
    """One entry, whole."""

    def get_recipient(self, entry: Suppression) -> str:
        return entry.recipient


class _SuppressionFields(Body):
    channel = serializers.ChoiceField(choices=CHANNEL_CHOICES, default="", allow_blank=True, help_text="Empty: all.")
    kind = serializers.ChoiceField(
        choices=KINDS,
        default="",
        allow_blank=True,
        help_text="How to read a recipient without a channel. Empty: as it is written, such as +44… for a phone number. What could be a "
        "number or an address without saying so is refused.",
    )
    category = serializers.RegexField(CATEGORY, default="", allow_blank=True, help_text="Only messages of this category. Empty: all.")
    reason = serializers.ChoiceField(choices=SuppressionReason.choices, default=SuppressionReason.API)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, validators=[within_range], help_text="Empty: never.")


class SuppressionIn(_SuppressionFields):
    """The request body that adds a recipient to the suppression list."""

    recipient = serializers.CharField(max_length=2048)


class SuppressionBulkIn(_SuppressionFields):
    """What puts many on the list."""

    recipients = BoundedList(child=serializers.CharField(max_length=2048), min_length=1, max_length=MAX_AT_ONCE)


class SuppressionsAdded(TypedDict):
    """How many were new, and how many stood there already or twice in the request."""

    added: int
    present: int


class SuppressionBulkOut(serializers.Serializer[Any]):
    """What became of a bulk request."""

    added = serializers.IntegerField()
    present = serializers.IntegerField(help_text="Stood on the list already, or twice in the request.")
