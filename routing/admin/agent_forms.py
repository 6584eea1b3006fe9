"""What is filled in about skill groups and agents, checked by the services that store them."""

import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.ui.checked_forms import CheckedForm
from routing.admin.short_names import ShortNamed
from routing.assignment import staff
from routing.models import Agent, SkillGroup


class LanguagesField(forms.CharField):
    """Language codes, separated by commas or blanks."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [part for part in re.split(r"[\s,;]+", value or "") if part]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))


class GroupForm(ShortNamed):
    """A skill group."""

    checked_by_service = ("tenant",)
    usual = "group"

    class Meta:
        model = SkillGroup
        fields = ["tenant", "title", "name", "overflow_to"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields.get("overflow_to")
        if field is not None:
            field.empty_label = _("Fallback group")
            if not self.instance._state.adding:
                field.queryset = field.queryset.filter(tenant_id=self.instance.tenant_id).exclude(pk=self.instance.pk)

    def check_row(self) -> None:
        staff.check_group(self.instance)


class AgentForm(CheckedForm):
    """An agent."""

    checked_by_service = ("tenant",)

    languages = LanguagesField(
        label=gettext_lazy("languages"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=gettext_lazy("Such as en, zh. Empty: all."),
    )

    class Meta:
        model = Agent
        fields = ["tenant", "user", "name", "capacity", "weight", "languages", "is_active"]

    def check_row(self) -> None:
        staff.check_agent(self.instance)


class SkillFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The skills of an agent: groups of the agent's tenant, each once."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = _("Delete this skill")
        for name in ("group", "level"):
            if name in form.fields:
                widget = form.fields[name].widget
                getattr(widget, "widget", widget).attrs["aria-label"] = capfirst(str(form.fields[name].label))

    def kept(self) -> Iterator[dict[str, Any]]:
        """Return the values of the rows that are filled in and stay."""
        for form in self.forms:
            values = getattr(form, "cleaned_data", {})
            if values.get("group") and not values.get("DELETE"):
                yield values

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            group = getattr(form, "cleaned_data", {}).get("group")
            if group is not None and group.tenant_id != self.instance.tenant_id:
                form.add_error("group", _("This group belongs to another tenant."))
