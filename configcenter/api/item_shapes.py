"""What goes in and out under /api/config/items/ and /api/config/namespaces/."""

from datetime import UTC, datetime
from typing import Any

from django.utils.functional import lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body
from configcenter import selectors
from configcenter.api.module_shapes import GrayOut, gray_of
from configcenter.models import PUBLIC, ConfigItem, ConfigNamespace, Format
from configcenter.services import items, namespaces
from configcenter.services.listeners import Listener
from posthaste.lib.crypto import LostText

CONTENT = "The text itself, to the last blank: its md5 is counted over it."

ENCRYPTED = "Store its texts encrypted, and show them only as the text in force to keys that may read it."


class TextField(serializers.CharField):
    """A text as it is: nothing trimmed, and a number is no text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "allow_blank": True, **options})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class NameField(serializers.RegexField):
    """A name as Nacos has it."""

    def __init__(self, longest: int, **options: Any) -> None:
        rule = lazy(items.name_rule, str)(longest)  # in the caller's language
        super().__init__(f"^{items.NAME.pattern}$", max_length=longest, error_messages={"invalid": rule, "max_length": rule}, **options)


def called(reader: namespaces.Reader, namespace: ConfigNamespace) -> str:
    """Name a namespace as this caller's addresses do: `public`, `dev`, `installation.public`."""
    return namespaces.name(reader, namespaces.Place(namespace.tenant_id, namespace.slug)) or PUBLIC


class ItemOut(serializers.ModelSerializer[ConfigItem]):
    """An item without its text."""

    namespace = serializers.SerializerMethodField()
    version = serializers.IntegerField(source="current.number", default=0, help_text="0: nothing is in force.")
    md5 = serializers.CharField(source="current.md5", default="")
    at = serializers.DateTimeField(source="current.at", allow_null=True, default=None)
    author = serializers.CharField(source="current.author", default="")
    has_draft = serializers.SerializerMethodField()
    is_undecryptable = serializers.SerializerMethodField(help_text="Its key is missing in ENCRYPTION_KEYS. Replace or delete it.")

    class Meta:
        model = ConfigItem
        fields = [
            "namespace", "group", "data_id", "format", "description", "is_encrypted", "is_undecryptable", "version", "md5", "at", "author",
            "has_draft",
        ]  # fmt: skip

    def get_namespace(self, item: ConfigItem) -> str:
        return called(self.context["request"].user, item.namespace)

    def get_has_draft(self, item: ConfigItem) -> bool:
        return item.draft is not None

    def get_is_undecryptable(self, item: ConfigItem) -> bool:
        return selectors.is_undecryptable(item)


class ItemDraftOut(serializers.Serializer[Any]):
    """What is being edited; `content` is null where nothing is, and masked where the item is encrypted."""

    content = serializers.CharField(allow_null=True)
    version = serializers.IntegerField(help_text="Name it as `based_on` when you save or publish.")
    author = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


def draft_of(item: ConfigItem) -> dict[str, Any]:
    """Return what is being edited."""
    content = None if item.draft is None else selectors.shown_text(item, item.draft)
    return {"content": content, "version": item.draft_version, "author": item.draft_by, "at": item.draft_at}


class ItemDetail(ItemOut):
    """An item with the text in force and its draft."""

    effective = serializers.SerializerMethodField(help_text="The text in force; empty where nothing is, null where it can't be decrypted.")
    draft = serializers.SerializerMethodField()
    gray = serializers.SerializerMethodField()

    class Meta(ItemOut.Meta):
        fields = [*ItemOut.Meta.fields, "effective", "draft", "gray"]

    def get_effective(self, item: ConfigItem) -> str | None:
        text = items.effective(item)
        return None if isinstance(text, LostText) else text

    @extend_schema_field(ItemDraftOut)
    def get_draft(self, item: ConfigItem) -> dict[str, Any]:
        return draft_of(item)

    @extend_schema_field(GrayOut(allow_null=True))
    def get_gray(self, item: ConfigItem) -> dict[str, Any] | None:
        return gray_of(item)


class ItemIn(Body):
    """A new item; with `content`, that becomes its draft."""

    namespace = serializers.CharField(max_length=160, default=PUBLIC, help_text="Yours; `installation.NAME` for keys that operate it.")
    group = NameField(128, default="DEFAULT_GROUP")
    data_id = NameField(256)
    format = serializers.ChoiceField(choices=Format.choices, default=Format.TEXT)
    description = serializers.CharField(max_length=500, allow_blank=True, default="")
    is_encrypted = serializers.BooleanField(default=False, help_text=ENCRYPTED)
    content = TextField(required=False, default=None, help_text=CONTENT)


class ItemChangeIn(Body):
    """What may be changed of an item besides its text."""

    format = serializers.ChoiceField(choices=Format.choices, required=False)
    description = serializers.CharField(max_length=500, allow_blank=True, required=False)
    is_encrypted = serializers.BooleanField(required=False, help_text=f"{ENCRYPTED} It can't be taken back.")


class ItemDraftIn(Body):
    """A draft."""

    content = TextField(help_text=CONTENT)
    based_on = serializers.IntegerField(min_value=0, help_text="`draft.version` that you saw; 409 when it has changed since.")


class ItemTextIn(Body):
    """A text to be checked."""

    content = TextField(help_text=CONTENT)


class ItemPublishIn(Body):
    """A publish; without `content`, of the draft."""

    content = TextField(required=False, allow_null=True, default=None, help_text=CONTENT)
    based_on = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)
    if_version = serializers.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        allow_null=True,
        default=None,
        help_text="409 unless it is in force; 0: nothing is.",
    )
    if_md5 = serializers.CharField(
        max_length=32, allow_blank=True, required=False, allow_null=True, default=None, help_text='The same by md5; "": nothing is.'
    )
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


class ListenerOut(serializers.Serializer[Any]):
    """A Nacos client that listens to an item."""

    address = serializers.CharField()
    caller = serializers.CharField(help_text="`key:` with the prefix of its API key, or `user:` with a name.")
    agent = serializers.CharField(help_text="What the client says it is.")
    transport = serializers.ChoiceField(choices=["http", "grpc"])
    md5 = serializers.CharField(help_text="Of the text that it has; empty: none.")
    is_current = serializers.BooleanField(help_text="Whether that is what is in force for it.")
    since = serializers.SerializerMethodField(help_text="When it began to wait.")

    @extend_schema_field(serializers.DateTimeField())
    def get_since(self, row: Listener) -> datetime:
        return datetime.fromtimestamp(row.since, UTC)


class ListeningOut(serializers.Serializer[Any]):
    """Who listens to an item."""

    total = serializers.IntegerField(help_text="How many; `results` has at most 1,000 of each `ws` process.")
    is_complete = serializers.BooleanField(help_text="Whether every `ws` process answered.")
    results = ListenerOut(source="rows", many=True)


class NamespaceOut(serializers.ModelSerializer[ConfigNamespace]):
    """A drawer of items."""

    namespace = serializers.SerializerMethodField(help_text="As addresses name it.")

    class Meta:
        model = ConfigNamespace
        fields = ["namespace", "name", "description", "created_at"]

    def get_namespace(self, namespace: ConfigNamespace) -> str:
        return called(self.context["request"].user, namespace)


class NamespaceIn(Body):
    """A new drawer."""

    namespace = serializers.CharField(max_length=160, help_text="Letters, digits and any of _ . : -")
    name = serializers.CharField(max_length=128, allow_blank=True, default="")
    description = serializers.CharField(max_length=256, allow_blank=True, default="")
