"""What the one pattern of lists needs in templates: filters as chips, figures at the right. See docs/extend.md, "A list"."""

import re
from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
_CLASS = re.compile(r'class="((?:field|column)-(\w+)[^"]*)"')
_COLUMN = re.compile(r"\bcolumn-(\w+)")


@register.filter
def chosen(choices: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the choice that narrows a list, or None while a filter lets everything through; the first choice is that for all."""
    return next((choice for place, choice in enumerate(choices) if place and choice["selected"]), None)


@register.filter
def everything(choices: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the choice that takes a filter off."""
    return next(iter(choices), None)


def _figures(change_list: Any) -> tuple[str, ...]:
    return tuple(getattr(change_list.model_admin, "figure_columns", ()))


@register.filter
def heading(header: dict[str, Any], change_list: Any) -> SafeString:
    """Return the class attribute of a column's heading; that of a column of figures is at the right."""
    attribute = str(header.get("class_attrib", ""))
    found = _COLUMN.search(attribute)
    if found is None or found[1] not in _figures(change_list):
        return mark_safe(attribute)  # noqa: S308 - from Django's own code
    return mark_safe(attribute.replace('class="', 'class="num ', 1))  # noqa: S308 - from Django's own code


@register.filter
def cell(item: str, change_list: Any) -> SafeString:
    """Return a cell of a list; one of a column of figures is at the right."""
    found = _CLASS.search(item, 0, 200)
    if found is None or found[2] not in _figures(change_list):
        return mark_safe(item)  # noqa: S308 - made safe by Django's own code
    return mark_safe(item[: found.start(1)] + "num " + item[found.start(1) :])  # noqa: S308 - made safe by Django's own code
