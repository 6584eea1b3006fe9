"""Asking before a wide action, with its number."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from accounts.staff.tenant_admin import ASK_FOR_NUMBER, MOST_AT_ONCE, TenantAdmin


def confirm(
    admin_page: TenantAdmin,
    request: HttpRequest,
    queryset: "models.QuerySet[Any]",
    *,
    action: str,
    question: str,
    consequence: str,
    button: str,
    ids: Sequence[Any],
    left_out: int,
    perform: Callable[[], None],
) -> HttpResponse | None:
    """Ask before a bulk action, with its number, and perform it when that was confirmed.

    Many rows want the number typed, so that nobody touches thousands by a slip.
    """
    number = len(ids)
    wants_number = number > ASK_FOR_NUMBER
    error = ""
    if request.POST.get("confirmed") and number:
        if not wants_number or request.POST.get("number", "").replace(",", "").strip() == str(number):
            perform()
            return None
        error = _("Type {number} to go on.").format(number=number)
    context = {
        **admin_page.admin_site.each_context(request),
        "opts": admin_page.opts,
        "title": question,
        "consequence": consequence,
        "button": button,
        "number": number,
        "left_out": left_out,
        "wants_number": wants_number,
        "error": error,
        "action": action,
        "sample": queryset.filter(pk__in=ids[:5]) if ids else [],
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "at_most": MOST_AT_ONCE if number >= MOST_AT_ONCE else 0,
    }
    return TemplateResponse(request, "admin/confirm.html", context)
