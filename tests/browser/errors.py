"""Pages that say why there is nothing to see: not there, not allowed, and an error of ours."""

from typing import Any

from django.urls import reverse

from monitor.search import pages as search
from tests.browser.scene import Scene

MISSING = ("no such page", "alarm that is not there")
FORBIDDEN = ("not allowed",)
OURS = ("error of ours",)
BREAKS = "break-this-page"


def error_pages(scene: Scene) -> dict[str, str]:
    """Break the search for one term, and return the addresses of pages with errors by name."""
    find = search.found

    def found(request: Any, term: str) -> list[dict[str, Any]]:
        if term == BREAKS:
            raise ZeroDivisionError
        return find(request, term)

    scene.monkeypatch.setattr(search, "found", found)
    return {
        "no such page": "/no/such/page/",
        "alarm that is not there": reverse("alarm", args=["00000000-0000-7000-8000-000000000000"]),
        "not allowed": reverse("admin:accounts_auditentry_add"),
        "error of ours": f"{reverse('search')}?q={BREAKS}",
    }
