"""Asking before a wide action of a list, with its number."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

MAX_AT_ONCE = 10_000  # rows that one bulk action touches
MAX_WITHOUT_NUMBER = 50  # above it a bulk action wants its number typed


def confirm(
    model_admin: "ModelAdmin[Any]",
    request: HttpRequest,
    queryset: "QuerySet[Any]",
    *,
    action: str,
    question: str,
    consequence: str,
    button: str,
    ids: Sequence[Any],
    left_out: int,
    perform: Callable[[], None],
    is_harmless: bool = False,
    in_words: Callable[[Any], str] = str,
    reasons: Mapping[str, int] | None = None,
) -> HttpResponse | None:
    """Ask before a bulk action, with its number, and perform it when that was confirmed.

    Many rows want the number typed, so that thousands are not touched by a slip. `is_harmless`: it deletes and stops nothing, so its
    button is not red. `in_words` names a row. `reasons` counts the rows by why they are as they are.
    """
    number = len(ids)
    wants_number = number > MAX_WITHOUT_NUMBER
    error = ""
    if request.POST.get("confirmed") and number:
        if not wants_number or request.POST.get("number", "").replace(",", "").strip() == str(number):
            perform()
            return None
        error = _("Type {number} to continue.").format(number=number)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": question,
        "consequence": consequence,
        "button": button,
        "number": number,
        "left_out": left_out,
        "wants_number": wants_number,
        "error": error,
        "action": action,
        "reasons": sorted((reasons or {}).items(), key=lambda pair: -pair[1]),
        "sample": [in_words(row) for row in queryset.filter(pk__in=ids[:5])] if ids else [],
        "is_harmless": is_harmless,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "at_most": MAX_AT_ONCE if number >= MAX_AT_ONCE else 0,
    }
    return TemplateResponse(request, "ui/confirm.html", context)
