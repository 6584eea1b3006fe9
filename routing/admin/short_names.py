"""Short names that are made of titles: while one types, by the page; else when the form is sent, also of titles without Latin letters."""

from itertools import chain, count
from typing import Any

from django.http import HttpRequest
from django.utils.text import slugify
from django.utils.translation import gettext as _

from posthaste.ui.checked_forms import CheckedForm


class ShortNamed(CheckedForm):
    """A form of rows with a short name of their own; an empty one of a new row is made of its title."""

    short_name, made_of = "name", "title"
    #: What the name of a row begins with whose title has no Latin letters or digits.
    usual = "row"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.short_name in self.fields and self.instance._state.adding:
            field = self.fields[self.short_name]
            field.required = False
            field.help_text = " ".join(filter(None, (str(field.help_text), _("Empty: made of the name."))))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        wanted = self.instance._state.adding and self.short_name in self.fields and self.short_name not in self.errors
        if wanted and not values.get(self.short_name) and values.get(self.made_of) and values.get("tenant"):
            values[self.short_name] = self._free(slugify(values[self.made_of]).strip("-_"), values["tenant"].pk)
        return values

    def _free(self, name: str, tenant_id: int) -> str:
        """Return the name, or with a number behind it the first that no row of the tenant has."""
        most = (self._meta.model._meta.get_field(self.short_name).max_length or 40) - 6  # room for the number
        taken = set(self._meta.model._default_manager.filter(tenant_id=tenant_id).values_list(self.short_name, flat=True))
        begin = name[:most].rstrip("-_") or self.usual
        numbered = (f"{begin}-{number}" for number in count(2 if name else 1))
        return next(one for one in chain([begin] if name else [], numbered) if one not in taken)


class PrepopulatesNames:
    """A page that fills the short name in while the title is typed."""

    prepopulated: dict[str, list[str]] = {"name": ["title"]}

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.prepopulated if obj is None and self.has_add_permission(request) else {}  # type: ignore[attr-defined]
