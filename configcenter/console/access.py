"""What a page of the configuration needs beyond the frame of every staff page: the rights to the configuration."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

from accounts.services import rights
from accounts.staff import actors
from accounts.staff.tenant_admin import signed_in
from configcenter.models import ConfigItem, ConfigRelease
from posthaste.ui import pages

#: Guards a view of the configuration; see `posthaste.ui.pages.staff_page`.
staff_page = partial(pages.staff_page, refusal=rights.REFUSAL)


def names_in(found: Iterable[ConfigItem | ConfigRelease | None]) -> dict[str, str]:
    """Return the names of those who published releases, or what is in force of items, and of those who wrote their drafts; see `who`."""
    said: set[str] = set()
    for each in found:
        if isinstance(each, ConfigItem):
            releases, draft_by = (each.current, each.gray), each.draft_by
            said |= {release.author for release in releases if release is not None} | {draft_by}
        elif each is not None:
            said.add(each.author)
    return actors.names_of(said - {""}, tenant_ids=None)


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """Return a page in the frame of the admin, with what the reader may do."""
    user = signed_in(request)
    may = {"may_edit": rights.may_edit(user), "readonly": not rights.may_edit(user), "may_publish": rights.may_publish(user)}
    return pages.page(request, f"config/{template}.html", status=status, **{"names": {}, **may, **context})
