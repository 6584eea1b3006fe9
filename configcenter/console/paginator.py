"""Pages of a list that is sorted by names: the next one begins behind a row, so it costs the same however far down it lies, and
what is made meanwhile moves nothing.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

A_PAGE = 50
#: As the index of items has it; a drawer's items stand together.
ORDER = ("namespace_id", "group", "data_id", "pk")


def _beyond(row: dict[str, Any], how: str) -> Q:
    """Those that come after this row (`gt`), or before it (`lt`)."""
    found, same = Q(), Q()
    for name in ORDER:
        found |= same & Q(**{f"{name}__{how}": row[name]})
        same &= Q(**{name: row[name]})
    return found


def of_items(rows: "QuerySet[Any]", request: HttpRequest) -> tuple[list[Any], str, str]:
    """Return the page that an address asks for (`after` or `before` a row), and the addresses of the pages beside it."""
    backwards = "before" in request.GET
    text = request.GET.get("before" if backwards else "after", "")
    start = rows.model._default_manager.filter(pk=int(text)).values(*ORDER).first() if text.isdecimal() and len(text) < 18 else None
    backwards = backwards and start is not None
    wanted = rows.order_by(*(f"-{name}" for name in ORDER)) if backwards else rows.order_by(*ORDER)
    if start is not None:
        wanted = wanted.filter(_beyond(start, "lt" if backwards else "gt"))
    found = list(wanted[: A_PAGE + 1])
    more, found = len(found) > A_PAGE, found[:A_PAGE]
    if backwards:
        found.reverse()
    is_first, is_last = (not more, False) if backwards else (start is None, not more)
    newer = "" if is_first or not found else _address(request, "before", found[0].pk)
    older = "" if is_last or not found else _address(request, "after", found[-1].pk)
    return found, newer, older


def _address(request: HttpRequest, name: str, pk: int) -> str:
    kept = request.GET.copy()
    for each in ("after", "before"):
        kept.pop(each, None)
    kept[name] = str(pk)
    return f"?{kept.urlencode()}"
