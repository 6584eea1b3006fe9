"""The page, in the one file that it takes."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group
from posthaste.ui.pages import at, page, staff_page


def may_open(user: Any) -> bool:
    """Return whether a user may open the page."""
    return bool(user.is_superuser)


ENTRY = Entry(group=Group.DESK, order=10, url="added-page", icon="pending", label="Added page", allowed=may_open)
navigation.add(ENTRY)


@at("added/", name="added-page")
@staff_page(allowed=may_open)
def added(request: HttpRequest) -> HttpResponse:
    """Show nothing but the frame."""
    return page(request, "admin/base_site.html", title="Added page", purpose="What it is for.")
