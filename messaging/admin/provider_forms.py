"""What is filled in about a provider: its configuration without its secrets, and a test message."""

import json
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.fields import PrettyJSONField
from messaging.channels import registry
from messaging.models import Provider
from messaging.providers import editing
from posthaste.lib.problems import Invalid


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider with its configuration as JSON, whose secrets stay masked and keep their value."""

    kind = forms.ChoiceField(label=gettext_lazy("kind"), help_text=gettext_lazy("The adapter that connects to it."))
    configuration = PrettyJSONField(
        label=gettext_lazy("configuration"),
        required=False,
        rows=14,
        help_text=gettext_lazy("JSON. A masked secret keeps its value. Overwrite it to change it."),
    )

    class Meta:
        model = Provider
        fields = ["tenant", "name", "channel", "kind", "weight", "max_per_second", "max_at_once", "is_enabled", "is_stand_in"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].choices = [(kind, str(adapter.title)) for kind, adapter in registry.ADAPTERS.items()]  # type: ignore[attr-defined]
        if "configuration" in self.fields and not self.is_bound:
            shown = {} if self.instance._state.adding else registry.redact_config(self.instance.kind, editing.config_of(self.instance))
            self.initial["configuration"] = shown

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        config = values.get("configuration")
        if config is None:
            config = {}
        if "configuration" in self.errors or not values.get("kind") or not values.get("channel"):
            return values
        if not isinstance(config, dict):
            self.add_error("configuration", _("Enter a JSON object: {…}."))
            return values
        if not self.instance._state.adding:  # an id is given before the row is stored
            config = editing.merge_secrets(kind=values["kind"], old=editing.config_of(self.instance), new=config)
        if registry.REDACTED in json.dumps(config, ensure_ascii=False):
            self.add_error("configuration", _("No secret is stored behind this mask. Enter the secret itself."))
            return values
        try:
            self.checked = editing.check_config(kind=values["kind"], channel=values["channel"], config=config)
        except Invalid as problem:
            for error in problem.errors:
                field, _dot, inner = str(error["field"]).partition(".")
                name = field if field in self.fields else "configuration"
                self.add_error(name, f"{inner}: {error['message']}" if inner else str(error["message"]))
        taken = Provider.objects.filter(tenant=values.get("tenant") or self.instance.tenant_id, name=values.get("name")).exclude(
            pk=self.instance.pk
        )
        if taken.exists():
            self.add_error("name", _("A provider with this name already exists."))
        return values


class TestForm(forms.Form):
    """Ask for the recipient and the text of a test message."""

    __test__ = False

    recipient = forms.CharField(label=gettext_lazy("recipient"), max_length=2048)
    text = forms.CharField(
        label=gettext_lazy("text"),
        max_length=500,
        initial=gettext_lazy("A test message from Posthaste."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )


def kinds() -> list[dict[str, Any]]:
    """Describe each kind's configuration, from the class that checks it."""
    found = []
    for kind, adapter in registry.ADAPTERS.items():
        schema = adapter.Config.model_json_schema()
        required = set(schema.get("required", ()))
        fields = [
            {
                "name": name,
                "required": name in required,
                "description": _(part["description"]) if part.get("description") else "",
                "default": "" if part.get("default") in (None, "", [], {}) else json.dumps(part["default"], ensure_ascii=False),
            }
            for name, part in schema.get("properties", {}).items()
        ]
        found.append(
            {
                "kind": kind,
                "title": str(adapter.title),
                "channels": [channel.label for code, channel in registry.CHANNELS.items() if code in adapter.channels],
                "fields": fields,
            }
        )
    return found
