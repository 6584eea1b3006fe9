"""What goes in and out under /api/config/."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from configcenter import selectors
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.services.releases import LABEL
from configcenter.services.transfer import POLICIES

CONTENT = "A module's value. `schema` of the module describes its fields."


class ReleaseOut(serializers.ModelSerializer[ConfigRelease]):
    """A release without its text."""

    based_on = serializers.IntegerField(source="based_on.number", allow_null=True, default=None, help_text="Version it came from.")

    class Meta:
        model = ConfigRelease
        fields = ["number", "revision", "action", "md5", "comment", "author", "based_on", "at"]


class ReleaseWithContent(ReleaseOut):
    """A release with its text."""

    content = serializers.SerializerMethodField(help_text="The text as it was published; of an encrypted item masked.")

    class Meta(ReleaseOut.Meta):
        fields = [*ReleaseOut.Meta.fields, "content"]

    def get_content(self, release: ConfigRelease) -> str:
        return selectors.shown_text(release.item, release.content)


class GrayOut(serializers.Serializer[Any]):
    """A gray release that is running."""

    release = ReleaseOut()
    labels = serializers.ListField(child=serializers.CharField())
    percent = serializers.IntegerField()


def gray_of(item: ConfigItem | None) -> dict[str, Any] | None:
    """Return which gray release of an item runs where, None where none does."""
    if item is None or item.gray is None:
        return None
    return {"release": ReleaseOut(item.gray).data, "labels": item.gray_labels, "percent": item.gray_percent}


class ModuleDraftOut(serializers.Serializer[Any]):
    """What is being edited; `content` is null where nothing is."""

    content = serializers.DictField(allow_null=True)
    version = serializers.IntegerField(help_text="Name it as `based_on` when you save or publish.")
    author = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)


class StandingOut(serializers.Serializer[Any]):
    """How many instances run what they should."""

    expected = serializers.IntegerField()
    running = serializers.IntegerField()
    on_gray = serializers.IntegerField()
    slowest_ms = serializers.IntegerField(allow_null=True, help_text="Longest time from publishing to running that was seen.")
    errors = serializers.DictField(child=serializers.CharField(), help_text="Instances that could not apply it, and why.")  # type: ignore[assignment]  # DRF takes fields off the class


class ModuleOut(serializers.Serializer[Any]):
    """The state of a module."""

    name = serializers.CharField()
    title = serializers.CharField()
    purpose = serializers.CharField()
    version = serializers.IntegerField(help_text="0: the defaults are in force.")
    md5 = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    author = serializers.CharField()
    has_draft = serializers.BooleanField()
    per_tenant = serializers.ListField(child=serializers.CharField(), help_text="Fields that a tenant may override.")
    gray = GrayOut(allow_null=True)
    instances = StandingOut()


class ModuleDetail(ModuleOut):
    """A module with its value and its shape."""

    effective = serializers.DictField(help_text="What is in force where no gray release runs.")
    draft = ModuleDraftOut()
    schema = serializers.DictField(help_text="JSON Schema with titles, help and limits in your language.")


class OverrideOut(serializers.Serializer[Any]):
    """A tenant's override of a module."""

    name = serializers.CharField()
    version = serializers.IntegerField(help_text="0: no override.")
    md5 = serializers.CharField()
    own = serializers.DictField(help_text="The fields it overrides.")
    effective = serializers.DictField(help_text="The installation's value with them, where no gray release runs.")
    draft = ModuleDraftOut()
    gray = GrayOut(allow_null=True)


class ModuleDraftIn(Body):
    """A draft."""

    content = serializers.DictField(help_text=CONTENT)
    based_on = serializers.IntegerField(min_value=0, help_text="`draft.version` that you saw; 409 when it has changed since.")


class ValidateIn(Body):
    """A value to be checked."""

    content = serializers.DictField(help_text=CONTENT)


class PublishIn(Body):
    """A publish; without `content`, of the draft."""

    content = serializers.DictField(required=False, default=None, help_text=CONTENT)
    based_on = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


class RollbackIn(Body):
    """Where to go back to."""

    version = serializers.IntegerField(min_value=1)
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


@extend_schema_field({"type": "string", "maxLength": 161, "pattern": f"^{LABEL.pattern}$"})
class LabelField(serializers.CharField):
    """`name=value`."""


class SpreadIn(Body):
    """The instances a gray release is for."""

    labels = BoundedList(child=LabelField(max_length=161), default=list, max_length=100)
    percent = serializers.IntegerField(min_value=0, max_value=100, default=0)


class GrayIn(SpreadIn):
    """A gray release; without `content`, of the draft."""

    content = serializers.DictField(required=False, default=None, help_text=CONTENT)
    based_on = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


class CommentIn(Body):
    """Why."""

    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


class LineOut(serializers.Serializer[Any]):
    """One line of a comparison. A gap stands for lines that are left out; the last one has a text if the comparison was cut."""

    kind = serializers.ChoiceField(choices=["same", "removed", "added", "gap"])
    text = serializers.CharField(allow_blank=True)
    before = serializers.IntegerField(allow_null=True)
    after = serializers.IntegerField(allow_null=True)


class ModuleVersionOut(serializers.Serializer[Any]):
    """What an instance runs of one module."""

    number = serializers.IntegerField()
    md5 = serializers.CharField()
    lag_ms = serializers.IntegerField(allow_null=True)


class InstanceOut(serializers.Serializer[Any]):
    """One live process."""

    id = serializers.CharField()
    kind = serializers.CharField()
    host = serializers.CharField()
    pid = serializers.IntegerField()
    labels = serializers.ListField(child=serializers.CharField())
    source = serializers.ChoiceField(choices=["database", "snapshot", "defaults"])  # type: ignore[assignment]  # DRF takes fields off the class
    revision = serializers.IntegerField()
    versions = serializers.DictField(child=ModuleVersionOut())
    overrides = serializers.DictField(child=ModuleVersionOut(), help_text="What it runs of tenants' overrides, as `module@tenant`.")
    errors = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]  # DRF takes fields off the class
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()


class DocumentIn(Body):
    """An exported document, and what to do with it."""

    document = serializers.DictField(help_text="What `/api/config/export/` answered.")
    policy = serializers.ChoiceField(choices=POLICIES, default="abort", help_text="Where something else is in force.")
    dry_run = serializers.BooleanField(default=False, help_text="Only tell what would happen.")
    comment = serializers.CharField(max_length=500, allow_blank=True, default="")


class OutcomeOut(serializers.Serializer[Any]):
    """What became of one item."""

    item = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["created", "updated", "unchanged", "skipped", "invalid", "conflict"])
    version = serializers.IntegerField(allow_null=True)
    errors = serializers.ListField(child=serializers.DictField())  # type: ignore[assignment]  # DRF takes fields off the class


class ImportOut(serializers.Serializer[Any]):
    """What an import did, or would do."""

    is_dry_run = serializers.BooleanField()
    items = OutcomeOut(many=True)
