"""What is filled in about a provider: its configuration without its secrets, and a test message."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from messaging.admin.config_fields import Path, build, placed, read, sorted_errors
from messaging.channels import registry
from messaging.models import Provider
from messaging.providers import editing
from posthaste.lib.problems import Invalid


class ConfigWidget(forms.Widget):
    """The inputs of every kind, of which the page shows those of the chosen one; each error stands at its input."""

    kind = ""
    errors: Mapping[Path, list[str]] = {}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        adapter = registry.ADAPTERS.get(data.get("kind", ""))
        return {} if adapter is None else read(adapter.Config, data, name=f"{name}.{adapter.kind}")

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False

    def sections(self, name: str, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the inputs by kind, filled in for the chosen one."""
        chosen = self.kind or next(iter(registry.ADAPTERS))
        return [
            {
                "kind": kind,
                "title": str(adapter.title),
                "is_on": kind == chosen,
                "inputs": build(
                    adapter.Config,
                    value if kind == chosen else {},
                    name=f"{name}.{kind}",
                    errors=self.errors if kind == chosen else {},
                ),
            }
            for kind, adapter in registry.ADAPTERS.items()
        ]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        shown = value if isinstance(value, Mapping) else {}
        return render_to_string("admin/messaging/provider/config.html", {"sections": self.sections(name, shown)})

    def id_for_label(self, id_: str) -> str:
        return ""


class ConfigField(forms.Field):
    """A configuration as plain values; the kind's own class checks them."""

    widget = ConfigWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(initial != data)


class ProviderForm(forms.ModelForm):  # type: ignore[type-arg]
    """A provider with the configuration of its kind, whose secrets stay masked and keep their value."""

    kind = forms.ChoiceField(label=gettext_lazy("kind"), help_text=gettext_lazy("The adapter that connects to it."))
    configuration = ConfigField(label="", required=False)

    class Meta:
        model = Provider
        fields = ["tenant", "name", "channel", "kind", "weight", "max_per_second", "max_at_once", "is_enabled", "is_stand_in"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].choices = [(kind, str(adapter.title)) for kind, adapter in registry.ADAPTERS.items()]  # type: ignore[attr-defined]
        if "configuration" not in self.fields:
            return
        widget = self.fields["configuration"].widget
        assert isinstance(widget, ConfigWidget)
        self.config_widget = widget
        widget.kind = self.data.get("kind", "") if self.is_bound else "" if self.instance._state.adding else self.instance.kind
        shown = {} if self.instance._state.adding else registry.redact_config(self.instance.kind, editing.config_of(self.instance))
        self.initial["configuration"] = shown

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        config = values.get("configuration") or {}
        if not values.get("kind") or not values.get("channel"):
            return values
        if not self.instance._state.adding:  # an id is given before the row is stored
            config = editing.merge_secrets(kind=values["kind"], old=editing.config_of(self.instance), new=config)
        if registry.REDACTED in json.dumps(config, ensure_ascii=False):
            self.add_error("configuration", _("No secret is stored behind this mask. Enter the secret itself."))
            return values
        try:
            self.checked = editing.check_config(kind=values["kind"], channel=values["channel"], config=config)
        except Invalid as problem:
            self._tell(problem, values)
        taken = Provider.objects.filter(tenant=values.get("tenant") or self.instance.tenant_id, name=values.get("name")).exclude(
            pk=self.instance.pk
        )
        if taken.exists():
            self.add_error("name", _("A provider with this name already exists."))
        return values

    def _tell(self, problem: Invalid, values: dict[str, Any]) -> None:
        """Put each error under its input; what belongs to none of them stands above all."""
        widget = self.config_widget
        widget.errors, others = sorted_errors(problem.errors)
        chosen = next(
            (section for section in widget.sections("configuration", values.get("configuration") or {}) if section["is_on"]), None
        )
        shown = placed(widget.errors, chosen["inputs"]) if chosen else set()
        homeless = [f"{'.'.join(path)}: {said}" for path, all_said in widget.errors.items() for said in all_said if said not in shown]
        for name, message in others:
            self.add_error(name if name in self.fields else None, message)
        # The field counts as wrong, and says so once above its inputs.
        self.add_error("configuration", homeless or (_("Some values are invalid and marked below.") if widget.errors else []))


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
