"""The form of a ticket type: its fields are rows of inputs, its checklist has a line for each item."""

from typing import Any

from django import forms
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.problems import Invalid
from posthaste.ui.checked_forms import CheckedForm
from routing.admin.short_names import ShortNamed
from routing.models import Tag, TicketPriority, TicketType
from routing.tickets import types
from routing.tickets.field_values import FieldKind
from routing.tickets.fields import MAX_FIELDS, WHEN_REQUIRED

#: Empty rows behind those that are filled in; after saving there are as many again.
EMPTY_ROWS = 2
WIDE = {"class": "vTextField"}


class FieldForm(forms.Form):
    """A field of a ticket type."""

    label = forms.CharField(label=gettext_lazy("Name"), max_length=100, required=False, widget=forms.TextInput(attrs=WIDE))
    label_zh = forms.CharField(label=gettext_lazy("Name in Chinese"), max_length=100, required=False, widget=forms.TextInput(attrs=WIDE))
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=FieldKind.choices, initial=FieldKind.TEXT)
    required = forms.ChoiceField(label=gettext_lazy("Required"), choices=WHEN_REQUIRED, required=False)
    choices = forms.CharField(
        label=gettext_lazy("Choices"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One a line, for kinds with choices. With a translation: Damaged = 破损"),
    )
    minimum = forms.FloatField(label=gettext_lazy("Smallest number"), required=False, widget=forms.NumberInput(attrs={"step": "any"}))
    maximum = forms.FloatField(label=gettext_lazy("Largest number"), required=False, widget=forms.NumberInput(attrs={"step": "any"}))
    help = forms.CharField(label=gettext_lazy("Help"), max_length=300, required=False, widget=forms.TextInput(attrs=WIDE))
    help_zh = forms.CharField(label=gettext_lazy("Help in Chinese"), max_length=300, required=False, widget=forms.TextInput(attrs=WIDE))
    key = forms.CharField(
        label=gettext_lazy("Key"),
        max_length=40,
        required=False,
        widget=forms.TextInput(attrs=WIDE),
        help_text=gettext_lazy("For the API. Empty: made from the name. Values are kept under it, so leave it as it is."),
    )
    is_public = forms.BooleanField(label=gettext_lazy("Customers fill it in in the portal"), required=False)

    def definition(self, number: int) -> dict[str, Any] | None:
        """Return what the service takes; None: the row is empty or to be deleted."""
        given = self.cleaned_data
        if given.get("DELETE") or (not self.has_changed() and not self.initial):
            return None
        found = {name: given[name] for name in ("label", "label_zh", "kind", "required", "help", "help_zh", "is_public") if given[name]}
        found |= {name: given[name] for name in ("minimum", "maximum") if given[name] is not None}
        key = slugify(given["label"]).replace("-", "_").lstrip("0123456789_")[:40]
        found["key"] = given["key"] or key or f"field_{number}"
        if choices := [line for line in given["choices"].splitlines() if line.strip()]:
            found["choices"] = [_choice(line) for line in choices]
        return found


class _Rows(forms.BaseFormSet):  # type: ignore[type-arg]
    """The rows of fields, in their order."""

    def in_order(self) -> list[FieldForm]:
        """Return the rows in the order that was typed; new ones last."""
        ranked = [(form.cleaned_data.get("ORDER") or len(self.forms) + 1, place, form) for place, form in enumerate(self.forms)]
        return [form for _order, _place, form in sorted(ranked, key=lambda one: one[:2])]

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["ORDER"].label = _("Place")
        form.fields["DELETE"].label = _("Delete this field")


FIELD_ROWS = forms.formset_factory(
    FieldForm, formset=_Rows, extra=EMPTY_ROWS, can_order=True, can_delete=True, max_num=MAX_FIELDS, absolute_max=MAX_FIELDS + EMPTY_ROWS
)


class TicketTypeForm(ShortNamed):
    """A ticket type."""

    checked_by_service = ("tenant",)
    usual = "type"

    priority = forms.ChoiceField(label=gettext_lazy("priority"), choices=TicketPriority.choices, initial=TicketPriority.NORMAL)
    items = forms.CharField(
        label=gettext_lazy("checklist"),
        required=False,
        max_length=40_000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("What has to be done before a ticket is resolved, one item a line."),
    )

    class Meta:
        model = TicketType
        fields = ["tenant", "title", "title_zh", "name", "kind", "group", "priority", "is_public", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["items"] = "\n".join(self.instance.checklist)
        rows = [_as_initial(one) for one in self.instance.fields]
        self.rows: Any = FIELD_ROWS(self.data if self.is_bound else None, initial=rows, prefix="field", form_kwargs={"label_suffix": ""})
        self._given: list[FieldForm] = []

    @property
    def changed_data(self) -> list[str]:
        """The names of what changed, as the service knows them."""
        names = {"items": "checklist"}
        found = [names.get(name, name) for name in super().changed_data]
        return [*found, "fields"] if self.rows.has_changed() else found

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if self.data and f"{self.rows.prefix}-TOTAL_FORMS" not in self.data:
            return values  # a form without the rows leaves the fields as they are
        if not self.rows.is_valid():
            self.add_error(None, _("Some fields are wrong."))
            return values
        found = [(form, one) for number, form in enumerate(self.rows.in_order(), 1) if (one := form.definition(number)) is not None]
        self._given = [form for form, _one in found]
        self.instance.fields = [one for _form, one in found]
        return values

    def check_row(self) -> None:
        self.instance.checklist = self.cleaned_data["items"].splitlines()
        try:
            types.check_type(self.instance)
        except Invalid as problem:
            raise Invalid(errors=[error for error in problem.errors if not self._tell(error)]) from None

    def _tell(self, error: dict[str, Any]) -> bool:
        """Put an error of a field's definition under its input, and return whether it was one."""
        place, _dot, name = str(error["field"]).partition(".")
        if not place.startswith("fields["):
            return False
        form = self._given[int(place[len("fields[") : -1])]
        own = name.partition(".")[0]
        form.add_error(own if own in form.fields else None, str(error["message"]))
        self.add_error(None, _("Some fields are wrong."))
        return True


class TagForm(CheckedForm):
    """A tag."""

    checked_by_service = ("tenant",)

    class Meta:
        model = Tag
        fields = ["tenant", "name"]

    def check_row(self) -> None:
        types.check_tag(self.instance)


def _choice(line: str) -> dict[str, str]:
    value, equals, zh = (part.strip() for part in line.partition("="))
    return {"value": value, "zh": zh} if equals and zh else {"value": value}


def _as_initial(one: dict[str, Any]) -> dict[str, Any]:
    lines = [f"{choice['value']} = {choice['zh']}" if choice.get("zh") else choice["value"] for choice in one.get("choices", [])]
    # Without the fraction that a whole number is stored with.
    given = {name: one[name] for name in ("minimum", "maximum") if one.get(name) is not None}
    bounds = {name: int(value) if float(value).is_integer() else value for name, value in given.items()}
    return {**one, **bounds, "choices": "\n".join(lines)}
