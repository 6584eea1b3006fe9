"""What is filled in about tickets at the desk; the services check it."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.lib.problems import Invalid
from routing.models import Agent, SkillGroup, Ticket, TicketKind, TicketPriority, TicketType
from routing.tickets import fields as own_fields
from routing.tickets.field_values import FieldKind
from routing.tickets.fields import Definition, Required
from routing.tickets.types import title_of

#: How the inputs of a type's own fields are called.
OWN = "own_"


class DeskForm(forms.Form):
    """Base: no colon behind labels, errors of services under their fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", "auto_id": "desk-%s", **kwargs})

    def tell(self, problem: Invalid) -> None:
        """Put the errors of a service under their fields; what has none stands above."""
        for error in problem.errors:
            name = str(error.get("field", "")).replace("fields.", OWN)
            self.add_error(name if name in self.fields else None, str(error["message"]))
        if problem.detail and not problem.errors:
            self.add_error(None, str(problem.detail))


class EditForm(DeskForm):
    """What a ticket says."""

    subject = forms.CharField(label=gettext_lazy("Subject"), max_length=300)
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=20_000, required=False, widget=forms.Textarea(attrs={"rows": 4})
    )
    priority = forms.ChoiceField(label=gettext_lazy("Priority"), choices=TicketPriority.choices)
    due_on = forms.DateField(
        label=gettext_lazy("Due on"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    tags = forms.CharField(label=gettext_lazy("Tags"), max_length=2_000, required=False, help_text=gettext_lazy("Separated by commas."))

    def __init__(self, *args: Any, definitions: Sequence[Definition] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.definitions = definitions
        self.fields["subject"].is_asked = _("(required)")  # type: ignore[attr-defined]  # for the template
        for one in definitions:
            self.fields[f"{OWN}{one.key}"] = input_for(one)
        self.order_fields(["subject", *(f"{OWN}{one.key}" for one in definitions)])

    def values(self) -> dict[str, Any]:
        """Return what the services take."""
        given = self.cleaned_data
        found: dict[str, Any] = {name: given[name] for name in ("subject", "description", "priority", "due_on") if name in given}
        return {
            **found,
            "tags": [name for part in given["tags"].replace("，", ",").split(",") if (name := part.strip())],
            "fields": {one.key: value_of(one, given.get(f"{OWN}{one.key}")) for one in self.definitions},
        }


def edit_form(ticket: Ticket, data: Any = None) -> EditForm:
    """Return the form of a ticket, filled with what it says."""
    definitions = own_fields.of_type(ticket.type)
    initial = {name: getattr(ticket, name) for name in ("subject", "description", "priority", "due_on")}
    initial["tags"] = ", ".join(sorted(tag.name for tag in ticket.tags.all()))
    initial |= {f"{OWN}{one.key}": _shown(one, ticket.fields.get(one.key)) for one in definitions}
    return EditForm(data, initial=initial, definitions=definitions)


class NewForm(EditForm):
    """A new ticket of a type."""

    group = forms.ModelChoiceField(SkillGroup.objects.none(), label=gettext_lazy("Skill group"), required=False)
    agent = forms.ModelChoiceField(Agent.objects.none(), label=gettext_lazy("Agent"), required=False)

    def __init__(self, *args: Any, kind: TicketType, **kwargs: Any) -> None:
        super().__init__(*args, definitions=own_fields.of_type(kind), **kwargs)
        self.initial.setdefault("priority", kind.priority)
        group, agent = self.fields["group"], self.fields["agent"]
        fill_places(group, agent, tenant_id=kind.tenant_id)
        assert isinstance(group, forms.ModelChoiceField)
        if kind.group:
            group.empty_label = _("As set by the type: {group}").format(group=kind.group.title)


class AssignForm(DeskForm):
    """Who gets a ticket."""

    agent = forms.ModelChoiceField(Agent.objects.none(), label=gettext_lazy("Agent"), required=False)
    group = forms.ModelChoiceField(SkillGroup.objects.none(), label=gettext_lazy("Skill group"), required=False)

    def __init__(self, *args: Any, tenant_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fill_places(self.fields["group"], self.fields["agent"], tenant_id=tenant_id)


def fill_places(group: Any, agent: Any, *, tenant_id: int) -> None:
    """Offer the groups and the active agents of a tenant."""
    group.queryset = SkillGroup.objects.filter(tenant_id=tenant_id).order_by("title")
    agent.queryset = Agent.objects.filter(tenant_id=tenant_id, is_active=True).order_by("name")
    group.empty_label = agent.empty_label = _("None")


def types_offered(tenant_ids: Sequence[int], *, kind: str = TicketKind.REQUEST) -> list[tuple[TicketType, str]]:
    """Return the types that tickets are opened with, and what they are called."""
    rows = TicketType.objects.filter(tenant_id__in=tenant_ids, is_active=True, kind=kind).select_related("tenant", "group")
    return [(row, title_of(row)) for row in rows.order_by("title")]


# --- a type's own fields -----------------------------------------------------------------------------------------------


WHEN_ASKED = {Required.OPEN: gettext_lazy("(required)"), Required.RESOLVE: gettext_lazy("(required to resolve)")}


def input_for(one: Definition) -> forms.Field:
    """Return the input for a field of a type; the service checks it, so none is required here."""
    field = _input(one)
    field.is_asked = WHEN_ASKED.get(one.required, "")  # type: ignore[attr-defined]  # for the template
    return field


def _input(one: Definition) -> forms.Field:
    said: dict[str, Any] = {"label": one.title, "help_text": one.advice, "required": False}
    empty = ("", _("Choose one"))
    match one.kind:
        case FieldKind.LONG_TEXT:
            return forms.CharField(widget=forms.Textarea(attrs={"rows": 4}), **said)
        case FieldKind.NUMBER:
            bounds = {"min": one.minimum, "max": one.maximum, "step": "any"}
            widget = forms.NumberInput(
                attrs={name: f"{value:g}" if isinstance(value, float) else value for name, value in bounds.items() if value is not None}
            )
            return forms.FloatField(widget=widget, **said)
        case FieldKind.DATE:
            return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **said)
        case FieldKind.YES_NO:
            return forms.ChoiceField(choices=[("", "–"), ("yes", _("Yes")), ("no", _("No"))], **said)
        case FieldKind.CHOICE:
            return forms.ChoiceField(choices=[empty, *one.options], **said)
        case FieldKind.CHOICES:
            return forms.MultipleChoiceField(choices=one.options, widget=forms.CheckboxSelectMultiple, **said)
    kinds = {FieldKind.EMAIL: "email", FieldKind.PHONE: "tel"}
    return forms.CharField(widget=forms.TextInput(attrs={"type": kinds.get(one.kind, "text"), "autocomplete": "off"}), **said)


def value_of(one: Definition, given: Any) -> Any:
    """Return what an input holds as the service takes it."""
    if one.kind == FieldKind.YES_NO:
        return {"yes": True, "no": False}.get(given)
    if one.kind == FieldKind.DATE and given:
        return given.isoformat()
    return given


def _shown(one: Definition, value: Any) -> Any:
    if one.kind == FieldKind.YES_NO:
        return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""
    return value
