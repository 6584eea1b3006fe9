"""Pages for members of staff: who may open one, the frame around it, and the address at which it hangs.

A page is a function in its app, such as

    @at("config/limits/", name="config-limits")
    @staff_page(allowed=rights.may_view)
    def limits(request): ...

The app's `pages.py` is imported automatically; pages in other modules are named there in one line. The admin's own addresses
are open to apps as well: `in_admin` hangs a page there under the admin's name space.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from posthaste.lib import problem_responses
from posthaste.lib.problems import Forbidden, Invalid, NotAllowed, NotFound, Problem, TooMany

READING = ("GET", "HEAD")
CODES = {each.status: each.code for each in (Forbidden, NotFound, NotAllowed, TooMany)}
View = Callable[..., HttpResponse]
V = TypeVar("V", bound=View)
#: Answers whether a user may do something.
Allowed = Callable[[Any], bool]

_pages: list[tuple[str, str, View]] = []
_pages_in_admin: list[tuple[str, str, View]] = []


def at(address: str, *, name: str) -> Callable[[V], V]:
    """Hang a view at an address of the installation, written as in Django's `path()`.

    Raises:
        ValueError: another page has this address or name. A clash with an address that is no page is reported by `ui.checks`.
    """

    def hang(view: V) -> V:
        _add(_pages, address, name, view)
        return view

    return hang


def in_admin(address: str, *, name: str) -> Callable[[V], V]:
    """Hang a view at an address below the admin, before Django's own; its name is `admin:NAME`.

    Raises:
        ValueError: another page has this address or name.
    """

    def hang(view: V) -> V:
        _add(_pages_in_admin, address, name, view)
        return view

    return hang


def _add(known: list[tuple[str, str, View]], address: str, name: str, view: View) -> None:
    who = f"The page {view.__module__}.{view.__qualname__}"
    if address.startswith("/"):
        raise ValueError(f"{who} has the address {address!r}. Write it without the slash in front.")
    for taken_address, taken_name, taken in known:
        by = f"{taken.__module__}.{taken.__qualname__}"
        if taken_address == address:
            raise ValueError(f"{who} has the address {address!r}, which is taken by {by}. Choose another address.")
        if taken_name == name:
            raise ValueError(f"{who} has the name {name!r}, which is taken by {by}. Choose another name.")
    known.append((address, name, view))


def views() -> list[View]:
    """Return the views of all pages."""
    return [view for _address, _name, view in (*_pages, *_pages_in_admin)]


def urlpatterns() -> list[URLPattern]:
    """Return the addresses of the pages that hang outside the admin."""
    return [path(address, view, name=name) for address, name, view in _pages]


def admin_urlpatterns(wrap: Callable[[View], View]) -> list[URLPattern]:
    """Return the addresses of the pages inside the admin, each view in the admin's own wrapper."""
    return [path(address, wrap(view), name=name) for address, name, view in _pages_in_admin]


def staff_page(
    *, allowed: Allowed, to_change: Allowed | None = None, methods: tuple[str, ...] = ("GET", "HEAD"), refusal: str | Promise = ""
) -> Callable[[View], View]:
    """Guard a view: signed in as staff, and `allowed` to open it; a POST needs `to_change` where that is given.

    `refusal` tells a reader without the right how to get it. A stranger is sent to the login, whatever the method. A problem
    that a service raises becomes a page that says what to do.
    """

    def guard(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not admin.site.has_permission(request):
                return redirect_to_login(_return_address(request), reverse("admin:login"))
            needed = to_change if request.method == "POST" and to_change else allowed
            if not needed(request.user):
                title = (
                    _("You don't have permission to see this page")
                    if request.method in READING
                    else _("You don't have permission to do that")
                )
                return problem_page(request, status=403, title=title, detail=str(refusal))
            if request.method not in methods:
                said = _("This address only takes what a form or button on a page sends. Go back to that page.")
                response = problem_page(request, status=405, title=_("This page can't be opened directly"), detail=said)
                response["Allow"] = ", ".join(methods)
                return response
            try:
                _must_be_storable(request)
                return view(request, *args, **kwargs)
            except Problem as problem:
                if problem_responses.is_for_script(request):
                    return problem.as_response()
                return problem_page(request, status=problem.status, title=str(problem.title), detail=problem_text(problem))

        return guarded

    return guard


def _must_be_storable(request: HttpRequest) -> None:
    """Refuse typed text with the character NUL, which PostgreSQL stores nowhere.

    Raises:
        Invalid: naming the fields.
    """
    if request.method in READING:
        return
    wrong = [name for name, values in request.POST.lists() if any("\0" in value for value in values)]
    if wrong:
        said = _("The character NUL can't be stored; remove it.")
        raise Invalid(errors=[{"field": name.replace("\0", ""), "code": "invalid", "message": said} for name in wrong])


def _return_address(request: HttpRequest) -> str:
    """Return where to go after signing in: for anything but reading, the page that the request came from, if it is one of ours."""
    if request.method in READING:
        return request.get_full_path()
    origin = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(origin, {request.get_host()}, require_https=request.is_secure()):
        return reverse("admin:index")
    parts = urlsplit(origin)
    return urlunsplit(("", "", parts.path or "/", parts.query, ""))


def page(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """Return a page in the frame of the admin: its navigation, its header, its look."""
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context}, status=status)


def problem_page(request: HttpRequest, *, status: int, title: str, detail: str) -> HttpResponse:
    """Return a page that says what went wrong, or to a script the same as JSON; an empty detail leaves the words to the template."""
    if problem_responses.is_for_script(request):
        problem = Problem(detail)
        problem.status, problem.title = status, title
        problem.code = CODES.get(status, Problem.code)
        return problem.as_response()
    context = {**problem_responses.error_context(request), "title": title, "detail": detail, "status": status}
    return render(request, "error.html", context, status=status)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the frame for a member of staff; nothing for others, who see no navigation."""
    if getattr(request, "user", None) is None or not admin.site.has_permission(request):
        return {}
    return admin.site.each_context(request)


problem_responses.frame_of = frame


def problem_text(problem: Problem) -> str:
    """Say in one line what a problem's document says."""
    parts = [str(problem.detail), *(f"{e['field']}: {e['message']}" if e.get("field") else str(e["message"]) for e in problem.errors)]
    return " ".join(part for part in parts if part) or str(problem.title)
