"""How long answers may be reused, and in which caches: `Cache-Control` per class of page.

A view says its class with `@page_class(…)`. One that says nothing is `STAFF`: it may be shown again only after asking, to the same browser.
So nothing is public by accident. A public answer that carries a cookie, or is made for a request that names its sender, is turned into one
that is not stored at all, whatever the view says.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

V = TypeVar("V", bound=Callable[..., Any])


class PageClass(StrEnum):
    """Who may keep an answer."""

    #: Everybody, such as the page of a portal before a visitor is known: as long as `portal_cache_seconds`.
    PUBLIC = "public"
    #: The browser of the customer that it was made for: as long as `customer_cache_seconds`.
    PRIVATE = "private"
    #: The browser of the member of staff, who must ask before it is shown again.
    STAFF = "staff"
    #: No one: links, attachments, the API.
    NEVER = "never"


NO_STORE = "no-store"
#: Addresses whose views need not say that their answers are kept by no one.
NEVER_BELOW = ("/api/", "/l/", "/u/", "/nacos/")
#: What tells one reader's answer from another's.
DIFFERS_BY = ("Accept-Language", "Cookie", "Authorization")
#: Headers of a request that name its sender.
NAMES_SENDER = ("Authorization", "X-Api-Key")
_seconds: dict[PageClass, Callable[[], int]] = {}


def lasts(page: PageClass, seconds: Callable[[], int]) -> None:
    """Say how long answers of a class are reused; the configuration that has the figure registers it."""
    _seconds[page] = seconds


def page_class(page: PageClass) -> Callable[[V], V]:
    """Say who may keep the answers of a view."""

    def declare(view: V) -> V:
        view.page_class = page  # type: ignore[attr-defined]
        return view

    return declare


def class_of(path: str, view: Any) -> PageClass:
    """Return the class of a page."""
    declared = getattr(view, "page_class", None) or getattr(getattr(view, "view_class", None), "page_class", None)
    if declared is not None:
        return PageClass(declared)
    return PageClass.NEVER if path.startswith(NEVER_BELOW) else PageClass.STAFF


def directives(page: PageClass) -> str:
    """Return what `Cache-Control` says for a class."""
    if page == PageClass.NEVER:
        return NO_STORE
    seconds = _seconds[page]() if page in _seconds else 0
    if not seconds:
        return "private, no-cache"
    return f"public, max-age={seconds}" if page == PageClass.PUBLIC else f"private, max-age={seconds}"


def is_shared(control: str) -> bool:
    """Return whether a `Cache-Control` lets one reader's answer be shown to another."""
    said = {part.strip().partition("=")[0].lower() for part in control.split(",")}
    return bool(said & {"public", "s-maxage"})


class CacheMiddleware(MiddlewareMixin):
    """Sets `Cache-Control` and `Vary` of answers to GET and HEAD, where the view has not."""

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> None:
        request.cached_as = class_of(request.path_info, view)  # type: ignore[attr-defined]

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return response  # no cache keeps it: it says no time
        page: PageClass = getattr(request, "cached_as", PageClass.NEVER)
        if "Cache-Control" not in response:
            # An error passes, and a redirect may depend on who asks.
            is_page = response.status_code == 200 or page == PageClass.NEVER
            response["Cache-Control"] = directives(page if is_page else PageClass.STAFF)
        if is_shared(response["Cache-Control"]) and (response.cookies or _names_sender(request)):
            response["Cache-Control"] = NO_STORE
        if NO_STORE not in response["Cache-Control"]:
            patch_vary_headers(response, DIFFERS_BY)
        elif page == PageClass.NEVER and request.path_info.startswith("/api/"):
            patch_vary_headers(response, ("Authorization",))
        return response


def _names_sender(request: HttpRequest) -> bool:
    if any(name in request.headers for name in NAMES_SENDER):
        return True
    user = getattr(request, "user", None)
    return user is not None and bool(user.is_authenticated)
