"""The addresses of the pages that tell how the installation does."""

from django.urls import reverse

from tests.browser.scene import Scene


def operation_pages(_scene: Scene) -> dict[str, str]:
    """Return the addresses of the overview, the big screen, the search and the pages of what runs by name."""
    return {
        "overview": reverse("admin:index"),
        "big screen": reverse("monitor"),
        "queues and pools": reverse("monitor-queues"),
        "processes": reverse("monitor-instances"),
        "search": reverse("search") + "?q=mess",
        "search finds nothing": reverse("search") + "?q=nobody-knows-this",
        "error codes": "/docs/errors/",
        "runbook": "/docs/runbook/",
    }
