"""The forms of a customer's page."""

import json
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from posthaste.lib.dates import within_range
from routing.customers.attribute_values import LEVEL, TAGS, VIP, fault
from routing.customers.merging import Plan
from routing.customers.values import MAX_VALUE_CHARACTERS
from routing.models import IdentityKind


class CustomerForm(forms.Form):
    """What staff change of a customer."""

    name = forms.CharField(label=_("name"), max_length=200, required=False)
    language = forms.RegexField(
        r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", label=_("language"), max_length=16, required=False, help_text=_("Such as en or zh.")
    )
    note = forms.CharField(label=_("note"), max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))


class OneOfSeveral(forms.Form):
    """A form beside others of its page: its fields' ids begin with its own name, so that each label leads to its own field."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": f"{type(self).__name__.lower()}_%s", **kwargs})


class IdentityForm(OneOfSeveral):
    """An identity to add."""

    kind = forms.ChoiceField(label=_("kind"), choices=IdentityKind.choices)
    value = forms.CharField(label=_("value"), max_length=MAX_VALUE_CHARACTERS)
    verified = forms.BooleanField(label=_("verified"), required=False, help_text=_("You have checked that it is theirs."))


class AttributeForm(OneOfSeveral):
    """An attribute to set; an empty value removes what staff said."""

    name = forms.CharField(label=_("attribute"), max_length=40, help_text=_("Such as level, tags, vip, or one of your own."))
    value = forms.CharField(
        label=_("value"), max_length=500, required=False, help_text=_("Tags with commas between them; vip: true or false. Empty: removed.")
    )
    valid_until = forms.DateTimeField(
        label=_("valid until"),
        required=False,
        validators=[within_range],
        help_text=_("In UTC. Empty: for good."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        name, text = values.get("name", ""), values.get("value", "").strip()
        values["value"] = read(name, text)
        if name and (wrong := fault(name, values["value"])):
            raise ValidationError(wrong)
        return values


def read(name: str, text: str) -> Any:
    """Return the value that a typed text means; None: nothing was typed."""
    if not text:
        return None
    if name == LEVEL:
        return text
    if name == TAGS:
        return [tag.strip() for tag in text.replace("，", ",").split(",") if tag.strip()]
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


#: Attributes and fields that have a meaning of their own; others are named as their system names them.
NAMES = {LEVEL: _("Level"), TAGS: _("Tags"), VIP: _("VIP"), "name": _("Name"), "language": _("Language"), "note": _("Note")}


def named(name: str) -> str:
    """Return what people call an attribute."""
    return str(NAMES.get(name, name))


def plan_in_words(plan: Plan) -> dict[str, list[Any]]:
    """Return the parts of a merge that are stored under short names, as people read them."""
    return {
        "conflicts": [str(IdentityKind(kind).label) for kind in plan.conflicts],
        "moving": [(named(row.name), shown(row.value)) for row in plan.attributes],
        "differing": [(named(row.name), shown(own), shown(row.value)) for row, own in plan.differing],
        "filled": [named(name) for name in plan.filled],
    }


def shown(value: Any) -> str:
    """Return an attribute's value as people read it."""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    return ", ".join(value) if isinstance(value, list) else str(value)
