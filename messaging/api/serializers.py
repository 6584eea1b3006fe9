"""What the API shows of stored rows."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body
from messaging import selectors
from messaging.channels import registry
from messaging.channels.channel import refusal_of
from messaging.channels.registry import CHANNEL_CHOICES, OPEN_CHANNELS
from messaging.configuration.delivery import CATEGORY
from messaging.content.templates import MAX_VARIABLES
from messaging.models import Batch, Message, Provider, Template, TemplateVersion
from posthaste.lib.crypto import is_lost
from posthaste.lib.masking import mask_recipient
from posthaste.lib.visible_text import must_be_visible


class MessageOut(serializers.ModelSerializer[Message]):
    """A message in a list: the recipient masked."""

    trace_id = serializers.CharField(read_only=True)
    recipient = serializers.SerializerMethodField()
    template = serializers.CharField(source="template_version.template.name", default=None, allow_null=True)
    template_version = serializers.IntegerField(source="template_version.number", default=None, allow_null=True)
    provider = serializers.CharField(source="provider.name", default=None, allow_null=True)
    batch_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = Message
        fields = [
            "id", "trace_id", "status", "channel", "recipient", "priority", "template", "template_version", "batch_id", "reference",
            "category", "is_sandbox", "segments", "attempts", "provider", "error_code", "error_detail", "created_at", "due_at", "sent_at",
            "finished_at", "latency_ms",
        ]  # fmt: skip

    def get_recipient(self, message: Message) -> str:
        return mask_recipient(message.channel, message.recipient)


class MessageDetailOut(MessageOut):
    """One message, whole."""

    variables = serializers.DictField()
    metadata = serializers.DictField()

    class Meta(MessageOut.Meta):
        fields = [
            *MessageOut.Meta.fields,
            "subject",
            "body",
            "variables",
            "metadata",
            "time_zone",
            "expires_at",
            "queued_at",
            "claimed_at",
            "provider_message_id",
        ]

    def get_recipient(self, message: Message) -> str:
        return message.recipient


class BatchOut(serializers.ModelSerializer[Batch]):
    """A batch with its totals."""

    template = serializers.CharField(source="template_version.template.name", default=None, allow_null=True)
    counts = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    in_progress = serializers.IntegerField(read_only=True)
    ended = serializers.IntegerField(read_only=True)
    progress_percent = serializers.FloatField(read_only=True)

    class Meta:
        model = Batch
        fields = [
            "id", "name", "status", "channel", "template", "priority", "accepted", "rejected", "dropped", "counts", "in_progress", "ended",
            "progress_percent", "send_at", "created_at", "finished_at",
        ]  # fmt: skip

    def to_representation(self, batch: Batch) -> dict[str, Any]:
        counts = self.context.get("counts") or {}
        if batch.pk not in counts:
            counts = selectors.batch_counts([batch])
        for name, value in selectors.batch_summary(batch, counts[batch.pk]).items():
            setattr(batch, name, value)
        return super().to_representation(batch)


class ProviderOut(serializers.ModelSerializer[Provider]):
    """A provider; what is secret in its configuration is blanked."""

    config = serializers.SerializerMethodField()
    is_undecryptable = serializers.SerializerMethodField(
        help_text="Its `config` can't be decrypted, as its key is missing in ENCRYPTION_KEYS, so it sends nothing. Write it anew."
    )
    caps = serializers.SerializerMethodField()

    class Meta:
        model = Provider
        fields = [
            "id", "name", "channel", "kind", "config", "is_undecryptable", "weight", "caps", "is_enabled", "is_stand_in", "created_at",
            "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.DictField())
    def get_config(self, provider: Provider) -> dict[str, Any]:
        return {} if is_lost(provider, "config") else registry.redact_config(provider.kind, provider.config)

    def get_is_undecryptable(self, provider: Provider) -> bool:
        return is_lost(provider, "config")

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_caps(self, provider: Provider) -> dict[str, int]:
        caps = {"per_second": provider.max_per_second, "at_once": provider.max_at_once}
        return {name: cap for name, cap in caps.items() if cap}


class ProviderCreatedOut(ProviderOut):
    """The answer to making a provider: the only time that the receipt secret is shown."""

    receipt_secret = serializers.CharField()
    receipt_path = serializers.SerializerMethodField()

    class Meta(ProviderOut.Meta):
        fields = [*ProviderOut.Meta.fields, "receipt_secret", "receipt_path"]

    def get_receipt_path(self, provider: Provider) -> str:
        return f"/api/receipts/{provider.pk}/"


class CapsIn(Body):
    """Limits towards a provider."""

    per_second = serializers.IntegerField(
        min_value=1, max_value=100_000, required=False, allow_null=True, help_text="Messages wait, they do not fail."
    )
    at_once = serializers.IntegerField(
        min_value=1,
        max_value=10_000,
        required=False,
        allow_null=True,
        help_text="Calls in progress at the same time, over all workers together. Messages wait, they do not fail.",
    )


class ProviderIn(Body):
    """What makes a provider."""

    name = serializers.CharField(max_length=100, validators=[must_be_visible])
    channel = serializers.ChoiceField(choices=CHANNEL_CHOICES)
    kind = serializers.ChoiceField(choices=registry.KINDS)
    config = serializers.DictField(default=dict, help_text="Fields depend on the kind; see docs/providers.md. Unknown ones are refused.")
    weight = serializers.IntegerField(min_value=0, max_value=1000, default=100)
    caps = CapsIn(default=dict)
    is_enabled = serializers.BooleanField(default=True)


class ProviderChange(ProviderIn):
    """What can be changed of a provider: not its channel and kind, which its messages rely on."""

    channel = None  # type: ignore[assignment]
    kind = None  # type: ignore[assignment]
    caps = CapsIn(allow_null=True, required=False, help_text="Those that are named change; null removes one, or all.")


class TestSendIn(Body):
    """A message sent through a provider at once, to see whether it works."""

    recipient = serializers.CharField(max_length=2048)
    text = serializers.CharField(max_length=2000, default="Test message from Posthaste")


class TestSendOut(serializers.Serializer[Any]):
    """What the provider said."""

    ok = serializers.BooleanField()
    code = serializers.CharField()
    detail = serializers.CharField()
    field = serializers.CharField(help_text="What has to be changed, where that is known: `recipient`, `text` or `config.…`.")
    provider_message_id = serializers.CharField()
    duration_ms = serializers.IntegerField()


@extend_schema_field(
    {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "required": {"type": "boolean"},
                "example": {},
                "description": {"type": "string"},
            },
            "required": ["name"],
        },
    }
)
class VariablesField(serializers.JSONField):
    """Declared variables, as they were saved."""


class VersionOut(serializers.ModelSerializer[TemplateVersion]):
    """One version of a template."""

    variables = VariablesField(help_text="A message that lacks a required variable is refused.")

    class Meta:
        model = TemplateVersion
        fields = ["number", "state", "subject", "body", "html", "variables", "created_at", "created_by", "published_at"]


class TemplateOut(serializers.ModelSerializer[Template]):
    """A template with the numbers of its draft and its published version."""

    draft = serializers.SerializerMethodField()
    published = serializers.SerializerMethodField()

    class Meta:
        model = Template
        fields = ["name", "channel", "category", "description", "is_archived", "draft", "published", "created_at", "updated_at"]

    def _number(self, template: Template, state: str) -> int | None:
        return next((v.number for v in template.versions.all() if v.state == state), None)

    def get_draft(self, template: Template) -> int | None:
        return self._number(template, TemplateVersion.State.DRAFT)

    def get_published(self, template: Template) -> int | None:
        return self._number(template, TemplateVersion.State.PUBLISHED)


@extend_schema_field({"type": ["string", "number", "boolean", "object", "array"]})
class ExampleField(serializers.JSONField):
    """Any JSON value but null."""


class RetryIn(Body):
    """How a message is sent again."""

    accept_loss = serializers.BooleanField(
        default=False, help_text="Also if it was set aside and some of its content could not be read: it is sent without that."
    )


class VariableIn(Body):
    """A declared variable."""

    name = serializers.CharField(max_length=60)
    required = serializers.BooleanField(default=True)  # type: ignore[assignment]  # a field of this name
    example = ExampleField(required=False)
    description = serializers.CharField(max_length=200, required=False)


class DraftIn(Body):
    """The wording of a draft."""

    subject = serializers.CharField(max_length=998, default="", allow_blank=True)
    body = serializers.CharField(max_length=200_000, default="", allow_blank=True, trim_whitespace=False)
    html = serializers.CharField(max_length=500_000, default="", allow_blank=True, trim_whitespace=False)
    variables = VariableIn(many=True, default=list, max_length=MAX_VARIABLES)  # type: ignore[call-arg]  # of the list


class OpenChannelField(serializers.ChoiceField):
    """A channel that callers can choose."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=OPEN_CHANNELS, **options)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) and (refusal := refusal_of(data)):
            raise serializers.ValidationError(refusal, code="not_allowed")
        return super().to_internal_value(data)


class TemplateIn(DraftIn):
    """A new template with its first draft."""

    name = serializers.SlugField(max_length=80)
    channel = OpenChannelField()
    category = serializers.RegexField(CATEGORY, default="", allow_blank=True, help_text="Of messages that name none.")
    description = serializers.CharField(max_length=300, default="", allow_blank=True)
    publish = serializers.BooleanField(default=False, help_text="Publish the first version at once.")


class TemplateChange(Body):
    """What can be changed of a template beside its wording."""

    category = serializers.RegexField(CATEGORY, required=False, allow_blank=True, help_text="Of messages that name none.")
    description = serializers.CharField(max_length=300, required=False, allow_blank=True)
    is_archived = serializers.BooleanField(required=False)


class PreviewIn(Body):
    """Variables that override the examples."""

    version = serializers.IntegerField(required=False, help_text="Without it: the draft, else the published version.")
    variables = serializers.DictField(default=dict)


class PreviewOut(serializers.Serializer[Any]):
    """A rendered template."""

    subject = serializers.CharField()
    body = serializers.CharField()
    html = serializers.CharField()
    sms = serializers.DictField(required=False, help_text="encoding, units, segments")
