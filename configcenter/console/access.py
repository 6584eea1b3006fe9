"""What a page of the configuration needs beyond the frame of every staff page: the rights to the configuration."""

from functools import partial
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

from accounts.services import rights
from accounts.staff.tenant_admin import signed_in
from posthaste.ui import pages

#: Guards a view of the configuration; see `posthaste.ui.pages.staff_page`.
staff_page = partial(pages.staff_page, refusal=rights.REFUSAL)


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """Return a page in the frame of the admin, with what the reader may do."""
    user = signed_in(request)
    may = {"may_edit": rights.may_edit(user), "readonly": not rights.may_edit(user), "may_publish": rights.may_publish(user)}
    return pages.page(request, f"config/{template}.html", status=status, **{**may, **context})
