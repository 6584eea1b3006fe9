"""What the API takes and shows of webhook endpoints, their deliveries and events."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from messaging.channels import registry
from messaging.channels.registry import CHANNEL_CHOICES
from messaging.models import DeliveryKind, DeliveryStatus, DisabledCode, EndpointState, WebhookDelivery, WebhookEndpoint
from messaging.webhooks.replays import NOT_ARRIVED
from posthaste.lib.dates import within_range

MAX_KEEP_SECONDS = 7 * 86_400
DEFAULT_KEEP_SECONDS = 86_400
EVENT_ID = r"^evt_[0-9]{1,18}\Z"
NEW_ENDPOINT = OpenApiExample(
    "An endpoint for failures",
    {"name": "Shop", "url": "https://shop.example.com/hooks/posthaste", "event_types": ["message.failed", "batch.*"], "channels": ["sms"]},
    request_only=True,
)
EVENTS = OpenApiExample(
    "One event",
    {
        "results": [
            {
                "id": "evt_48213",
                "type": "message.delivered",
                "timestamp": "2026-11-29T07:12:04.218391+00:00",
                "data": {
                    "id": "01a209ca-c06d-70f1-9f6d-bf523c213af0",
                    "channel": "sms",
                    "is_sandbox": False,
                    "batch_id": None,
                    "reference": "A-1042",
                    "recipient": "+86 138****5678",
                    "metadata": {"order": 1042},
                    "status": "delivered",
                    "previous_status": "sent",
                    "attempts": 1,
                    "error_code": "",
                    "provider": "Gateway",
                    "due_at": None,
                },
            }
        ],
        "next": 48213,
    },
    response_only=True,
    status_codes=["200"],
)


class WebhookOut(serializers.ModelSerializer[WebhookEndpoint]):
    """An endpoint; its secret is masked."""

    event_types = serializers.ListField(child=serializers.CharField())
    channels = serializers.ListField(child=serializers.CharField(), help_text="Empty: all.")
    state = serializers.ChoiceField(choices=EndpointState.choices)
    disabled_code = serializers.ChoiceField(
        choices=["", *DisabledCode.values],
        help_text="Why it is disabled: `manual`, `gone` (answered 410) or `failing`. Empty: it is enabled.",
    )
    disabled_detail = serializers.CharField(help_text="The same in words, in the language of `Accept-Language`.")
    secret = serializers.SerializerMethodField(help_text="Masked: it is shown when it is made.")

    class Meta:
        model = WebhookEndpoint
        fields = [
            "id", "name", "url", "event_types", "channels", "max_events", "includes_sandbox", "is_enabled", "state", "disabled_at",
            "disabled_code", "disabled_detail", "failing_since", "failures", "next_attempt_at", "secret", "previous_secret_until",
            "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField())
    def get_secret(self, endpoint: WebhookEndpoint) -> str:
        return registry.REDACTED


class WebhookSecretOut(WebhookOut):
    """An endpoint with its new secret: the only answer that shows it."""

    secret = serializers.SerializerMethodField(help_text="`whsec_` and base64. Shown in this answer only.")

    @extend_schema_field(serializers.CharField())
    def get_secret(self, endpoint: WebhookEndpoint) -> str:
        return str(endpoint.secret)


class WebhookIn(Body):
    """What makes an endpoint."""

    name = serializers.CharField(max_length=100)
    url = serializers.CharField(
        max_length=2048, trim_whitespace=False, help_text="http or https, without credentials, at a public address."
    )
    event_types = BoundedList(
        child=serializers.CharField(max_length=60),
        min_length=1,
        max_length=50,
        default=lambda: ["*"],
        help_text="`*` for all, `message.*` for a family, or names such as `message.failed`.",
    )
    channels = BoundedList(
        child=serializers.ChoiceField(choices=CHANNEL_CHOICES), max_length=50, default=list, help_text="Empty: all channels."
    )
    max_events = serializers.IntegerField(
        min_value=1, max_value=1000, default=100, help_text="Events in one request, at most; it has 256 KiB at most too."
    )
    includes_sandbox = serializers.BooleanField(default=False, help_text="Also events of sandbox messages.")
    is_enabled = serializers.BooleanField(default=True)


class RotateIn(Body):
    """For how long the old secret stays valid."""

    keep_old_for_seconds = serializers.IntegerField(
        min_value=0,
        max_value=MAX_KEEP_SECONDS,
        default=DEFAULT_KEEP_SECONDS,
        help_text="Until then requests carry a signature of each secret. 0: the old one stops at once.",
    )


class WebhookTestOut(serializers.Serializer[Any]):
    """What the receiver answered to a test event."""

    ok = serializers.BooleanField()
    webhook_id = serializers.CharField()
    http_status = serializers.IntegerField(allow_null=True, help_text="Null without an answer.")
    duration_ms = serializers.IntegerField()
    error = serializers.CharField(help_text="Such as `http_500`, `timeout` or `blocked_address`. Empty: none.")
    detail = serializers.CharField(help_text="The beginning of the answer, or what went wrong.")


class DeliveryOut(serializers.ModelSerializer[WebhookDelivery]):
    """One request to an endpoint."""

    kind = serializers.ChoiceField(choices=DeliveryKind.choices)
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    replayed_from = serializers.UUIDField(
        source="replayed_from_id", allow_null=True, help_text="The delivery whose events were sent again."
    )

    class Meta:
        model = WebhookDelivery
        fields = [
            "id", "webhook_id", "kind", "status", "events", "from_position", "until_position", "attempt", "http_status", "duration_ms",
            "error", "detail", "at", "replayed_from",
        ]  # fmt: skip


class ReplayIn(Body):
    """Which deliveries are sent again: those of a time, or those that carried events of a range."""

    since = serializers.DateTimeField(required=False, validators=[within_range], help_text="Deliveries from this time on.")
    until = serializers.DateTimeField(required=False, validators=[within_range], help_text="Deliveries before this time. Left out: now.")
    from_event = serializers.RegexField(EVENT_ID, required=False, help_text="Instead of `since`: the id of the first event.")
    until_event = serializers.RegexField(EVENT_ID, required=False, help_text="The id of the last event. Left out: the latest.")
    status = BoundedList(
        child=serializers.ChoiceField(choices=DeliveryStatus.choices),
        min_length=1,
        max_length=len(DeliveryStatus),
        default=lambda: [status.value for status in NOT_ARRIVED],
        help_text="By what came of their last attempt.",
    )


class ReplayedOut(serializers.Serializer[Any]):
    """What was sent again."""

    requests = serializers.IntegerField(help_text="Deliveries that were sent again.")
    delivered = serializers.IntegerField(help_text="How many of them arrived.")
    events = serializers.IntegerField(help_text="How many events arrived.")
    is_whole = serializers.BooleanField(help_text="False: it stopped before the end of the range. Call it again to go on.")
    results = DeliveryOut(many=True, source="entries", help_text="The new entries of the log, in order.")


class EventOut(serializers.Serializer[Any]):
    """One event, as it is also sent to endpoints."""

    id = serializers.CharField(help_text="`evt_` and the position.")
    type = serializers.CharField()
    timestamp = serializers.DateTimeField()
    data = serializers.DictField()  # type: ignore[assignment]  # a field of this name


class EventsOut(serializers.Serializer[Any]):
    """Some events of the stream, oldest first."""

    results = EventOut(many=True)
    next = serializers.IntegerField(help_text="Pass it as `after` the next time.")
