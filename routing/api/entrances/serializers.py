"""What the API takes and shows of entrances and contact ways."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.visible_text import must_be_visible
from routing.entrances import editing
from routing.entrances.callbacks import address_of
from routing.models import ContactWay, Entrance, EntranceKind, Welcome


class EntranceOut(serializers.ModelSerializer[Entrance]):
    """An entrance. Of its secrets only the names of those that are set are shown."""

    secrets = serializers.SerializerMethodField(help_text="The names of the secrets that are set.")
    callback_url = serializers.SerializerMethodField(help_text="The address that WeCom, a mail server or another system calls.")

    class Meta:
        model = Entrance
        fields = ["id", "name", "kind", "settings", "secrets", "callback_url", "is_enabled", "created_at"]

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_secrets(self, entrance: Entrance) -> list[str]:
        return editing.known_secrets(entrance)

    def get_callback_url(self, entrance: Entrance) -> str:
        return address_of(entrance.pk)


class EntranceIn(Body):
    """What makes an entrance."""

    name = serializers.CharField(max_length=100, validators=[must_be_visible])
    kind = serializers.ChoiceField(choices=EntranceKind.choices)
    settings = serializers.DictField(
        default=dict, help_text="Fields depend on the kind; see `/api/entrance-kinds/`. Unknown ones are refused."
    )
    secrets = serializers.DictField(default=dict, help_text="Stored encrypted, and never shown.")
    is_enabled = serializers.BooleanField(default=True)


class EntranceChange(EntranceIn):
    """What can be changed of an entrance: not its kind."""

    kind = None  # type: ignore[assignment]
    settings = serializers.DictField(required=False, help_text="Replaces all settings.")
    secrets = serializers.DictField(required=False, help_text="Only those that are named change; an empty text removes one.")


class ProbedOut(serializers.Serializer[Any]):
    """What a test of the connection gave."""

    ok = serializers.BooleanField()
    detail = serializers.CharField()


class QuotaOut(serializers.Serializer[Any]):
    """How many replies the entrance of a conversation still takes."""

    is_limited = serializers.BooleanField()
    left = serializers.IntegerField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True, help_text="When the customer has to have written again.")


class ContactWayOut(serializers.ModelSerializer[ContactWay]):
    """A contact way, with the link of its QR code."""

    entrance = serializers.UUIDField(source="entrance_id")
    group = serializers.SerializerMethodField(help_text="Short name of the skill group.")
    welcomes = serializers.SerializerMethodField(help_text="Welcome messages by what became of them.")

    class Meta:
        model = ContactWay
        fields = ["id", "entrance", "name", "state", "users", "group", "tags", "welcome", "qr_code", "welcomes", "created_at"]

    def get_group(self, way: ContactWay) -> str:
        return way.group.name if way.group else ""

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_welcomes(self, way: ContactWay) -> dict[str, int]:
        counts = {state: int(getattr(way, f"welcomes_{state}", 0)) for state in Welcome.State.values}
        return {state: number for state, number in counts.items() if number}


class ContactWayIn(Body):
    """What makes a contact way."""

    entrance = serializers.UUIDField(help_text="An entrance of the kind `wecom_contact`.")
    name = serializers.CharField(max_length=100, validators=[must_be_visible])
    state = serializers.CharField(max_length=30, help_text="Comes back with each customer who uses it. It can't be changed.")
    users = BoundedList(child=serializers.CharField(max_length=64), min_length=1, max_length=100, help_text="User IDs of employees.")
    group = serializers.CharField(max_length=80, default="", allow_blank=True, help_text="Short name of a skill group; empty: by rule.")
    tags = BoundedList(child=serializers.CharField(max_length=40), max_length=20, default=list)
    welcome = serializers.CharField(max_length=4_000, default="", allow_blank=True, help_text="Sent once, within 20 seconds.")


class ContactWayChange(ContactWayIn):
    """What can be changed of a contact way: not its entrance and state."""

    entrance = None  # type: ignore[assignment]
    state = None  # type: ignore[assignment]


def entrance_id(values: dict[str, Any]) -> UUID:
    """Return the id in the values of a contact way."""
    found: UUID = values.pop("entrance")
    return found
