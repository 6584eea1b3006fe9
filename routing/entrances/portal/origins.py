"""Which sites may use a portal entrance: to call it, to hold a socket, and to show its pages in a frame."""

from collections.abc import Sequence

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from posthaste import env


def is_allowed(origin: str, *, sites: Sequence[str], host: str) -> bool:
    """Return whether a page of this origin may use the entrance: one of its sites, or our own host.

    A browser names the origin of a page that calls another one; who names none is a program, and needs a token anyway. Without a reverse
    proxy WebSockets have a port of their own, so the page's is that of the web process.
    """
    if not origin:
        return True
    own = {host, f"{host.rpartition(':')[0]}:{env.load().port}"} if host else set()
    return origin in sites or any(origin in (f"http://{name}", f"https://{name}") for name in own)


def allow_calls(response: HttpResponseBase, *, origin: str) -> None:
    """Let a page of an allowed origin read an answer (CORS). Cookies are never allowed along."""
    if origin:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = "Retry-After"
    response["Vary"] = "Origin, Accept-Language"


def allow_preflight(response: HttpResponseBase) -> None:
    """Answer a browser's question before a call with a token."""
    response["Access-Control-Allow-Methods"] = "GET, POST"
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
    response["Access-Control-Max-Age"] = "600"


def allow_frames(response: HttpResponseBase, *, sites: Sequence[str]) -> None:
    """Let the pages of an entrance be shown in frames on its sites, and on no other."""
    response._csp_replace = {"frame-ancestors": ["'self'", *sites]}  # type: ignore[attr-defined]  # django-csp reads it
    response.xframe_options_exempt = True  # type: ignore[attr-defined]  # the older header knows no list of sites


def origin_of(request: HttpRequest) -> str:
    """Return the origin of the page that makes a request."""
    return request.headers.get("Origin", "")
