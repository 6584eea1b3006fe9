"""Cursor pages of a list in any order.

A page begins behind a row, so it costs the same however far down it is, and rows that are added meanwhile move nothing.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest

PAGE_SIZE = 50
#: The parameters of an address that say where a page begins.
CURSOR = ("after", "before")
MAX_KEY = 2**63 - 1  # what a database takes as a number


def _beyond(row: dict[str, Any], order: Sequence[str], how: str) -> Q:
    """Return the condition for the rows after this one (`gt`) or before it (`lt`) in an ascending order."""
    found, same = Q(), Q()
    for name in order:
        found |= same & Q(**{f"{name}__{how}": row[name]})
        same &= Q(**{name: row[name]})
    return found


def page_of(
    rows: "QuerySet[Any]", request: HttpRequest, *, order: Sequence[str], is_descending: bool = False, size: int = 0
) -> tuple[list[Any], str, str]:
    """Return the page that an address asks for (`after` or `before` a row), and the addresses of the pages beside it.

    `order` names the fields that the list is sorted by; the last one must be unique. `size` is `PAGE_SIZE` unless given. An
    address is empty where there is no page.
    """
    size = size or PAGE_SIZE
    backwards = "before" in request.GET
    start = _start(rows, request.GET.get("before" if backwards else "after", ""), order)
    backwards = backwards and start is not None
    goes_up = backwards == is_descending
    wanted = rows.order_by(*(name if goes_up else f"-{name}" for name in order))
    if start is not None:
        wanted = wanted.filter(_beyond(start, order, "gt" if goes_up else "lt"))
    found = list(wanted[: size + 1])
    more, found = len(found) > size, found[:size]
    if backwards:
        found.reverse()
    is_first, is_last = (not more, False) if backwards else (start is None, not more)
    newer = "" if is_first or not found else _address(request, "before", found[0].pk)
    older = "" if is_last or not found else _address(request, "after", found[-1].pk)
    return found, newer, older


def _start(rows: "QuerySet[Any]", text: str, order: Sequence[str]) -> dict[str, Any] | None:
    """Return the row that a page begins behind; None for the first page, and where the text names no row."""
    key: Any = rows.model._meta.pk
    try:
        found = key.to_python(text) if text else None
    except ValidationError:
        return None
    if found is None or (isinstance(found, int) and not 0 <= found <= MAX_KEY):
        return None
    if list(order) == [key.name]:
        return {key.name: found}  # a row that was deleted meanwhile still has its place
    start: dict[str, Any] | None = rows.model._default_manager.filter(pk=found).values(*order).first()
    return start


def _address(request: HttpRequest, name: str, pk: Any) -> str:
    kept = request.GET.copy()
    for each in CURSOR:
        kept.pop(each, None)
    kept[name] = str(pk)
    return f"?{kept.urlencode()}"
