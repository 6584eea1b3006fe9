"""Filters of a list as chips: each is one parameter of the address, and keeps the others.

    chips=[chip(request, "channel", title=_("Channel"), choices=[("sms", _("SMS")), …])]

In the template: `{% include "ui/chips.html" %}`. The admin's lists have theirs from `list_filter`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from posthaste.ui.paginator import CURSOR

#: Parameters that are no filter: a changed filter begins at the first page, and is a page rather than a file.
DROPPED = (*CURSOR, "csv")


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, and the address that narrows the list to it."""

    label: Any
    url: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter: its choices, the chosen one if there is one, and the address without it."""

    title: Any
    choices: list[Choice]
    off: str

    @property
    def chosen(self) -> Choice | None:
        """The choice that narrows the list."""
        return next((choice for choice in self.choices if choice.is_on), None)


def address(request: HttpRequest, **changes: str) -> str:
    """Return the address of the list with parameters changed; an empty value takes one off."""
    kept = request.GET.copy()
    for name in (*DROPPED, *changes):
        kept.pop(name, None)
    for name, value in changes.items():
        if value:
            kept[name] = value
    return f"?{kept.urlencode()}"


def chip(request: HttpRequest, name: str, *, title: Any, choices: Iterable[tuple[str, Any]]) -> Chip:
    """Return the filter of one parameter; `choices` are pairs of a value and its words. An unknown value narrows nothing here."""
    wanted = request.GET.get(name, "")
    shown = [Choice(label=label, url=address(request, **{name: value}), is_on=value == wanted) for value, label in choices]
    return Chip(title=title, choices=shown, off=address(request, **{name: ""}))


def carried(request: HttpRequest, *, but: str) -> list[tuple[str, str]]:
    """Return the parameters that a form of the list, such as its search, hands on; `but` is its own."""
    return [(name, str(value)) for name, value in request.GET.items() if name not in (*DROPPED, but) and value]
