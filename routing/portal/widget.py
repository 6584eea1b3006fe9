"""The script that other sites embed: a button, and a frame with the chat that is made when it is first used."""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from posthaste.lib.caching import PageClass, page_class
from posthaste.lib.problems import NotFound
from routing.entrances.portal import sessions
from routing.portal.look import Portal, portal_of

#: Of everything that a page loads before the chat is first opened.
MAX_BYTES = 30_000
PLACE = "/*SETTINGS*/null"
#: The accents, as css/tokens.css has them for the pages: a site that embeds the script does not load that.
ACCENTS = {
    "indigo": "#4f46e5",
    "blue": "#1d4ed8",
    "teal": "#0f766e",
    "green": "#137638",
    "red": "#b91c1c",
    "violet": "#6d28d9",
    "slate": "#475569",
}
DEMO_TENANT = "demo"


@lru_cache(maxsize=1)
def _source(_changed: float) -> str:
    return Path(str(finders.find("js/portal/widget.js"))).read_text(encoding="utf-8")


def source() -> str:
    """Return the script as it is written."""
    return _source(Path(str(finders.find("js/portal/widget.js"))).stat().st_mtime)


def _words(title: str) -> dict[str, str]:
    return {
        "title": title,
        "open": _("Open the chat"),
        "close": _("Close the chat"),
        "unread": _("{n} unread"),
        "frame": _("Chat"),
    }


def settings_of(portal: Portal) -> dict[str, Any]:
    """Return what the script has to know of an entrance; it is the same for all visitors."""
    words = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            words[code] = _words(replace(portal, language=code).title)
    return {"key": portal.key, "accent": ACCENTS[portal.settings.accent], "words": words}


@page_class(PageClass.PUBLIC)
@require_safe
def script(request: HttpRequest, entrance: str) -> HttpResponse:
    """Return the script, with the settings of the entrance in it."""
    try:
        portal = portal_of(request, sessions.entrance_at(entrance))
    except NotFound as problem:
        return problem.as_response()
    made = json.dumps(settings_of(portal), ensure_ascii=False, separators=(",", ":"))
    response = HttpResponse(source().replace(PLACE, made), content_type="text/javascript; charset=utf-8")
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@page_class(PageClass.PUBLIC)
@require_safe
def demo(request: HttpRequest, entrance: str) -> HttpResponse:
    """Show a shop's page that embeds the widget; only the demo's tenant has one."""
    try:
        found = sessions.entrance_at(entrance)
        if found.tenant.slug != DEMO_TENANT:
            raise NotFound(_("Only the demo has such a page."))
    except NotFound as problem:
        return problem.as_response()
    portal = portal_of(request, found)
    with translation.override(portal.language):
        return render(request, "help/demo.html", {**portal.context(), "title": "Lamplight"})
