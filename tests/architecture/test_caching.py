"""Nothing that was made for one reader can be shown to another by a cache: tried at every address."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from accounts.models import User
from messaging.configuration.flow import flow_rules
from posthaste.lib.caching import CacheMiddleware, PageClass, class_of, is_shared, page_class
from routing.configuration import links_and_cache
from tests.architecture.routes import every_route
from tests.architecture.test_tenants import SAMPLES, Owned, path_of
from tests.builders import configure, make_api

pytestmark = pytest.mark.django_db
#: Addresses whose answers anyone may keep: they are the same for all. A new one must be added here, so that it is looked at twice.
PUBLIC: set[str] = {
    "help/<str:entrance>/",
    "help/<str:entrance>/chat/",
    "help/<str:entrance>/articles/",
    "help/<str:entrance>/a/<str:slug>/",
    "help/<str:entrance>/request/",
    "help/<str:entrance>/requests/",
    "help/<str:entrance>/requests/<int:number>/",
    "help/<str:entrance>/widget.js",
    "help/<str:entrance>/demo/",
}
NO_STORE = "no-store"


@pytest.fixture(autouse=True)
def _no_limits() -> Iterator[None]:
    """Let nothing be refused for asking too often."""
    configure(flow_rules, rules=[])
    with flow_rules.set(rules=[]):
        yield


def faults(answer: Any) -> list[str]:
    """Name what would let a cache show an answer to another reader."""
    control = answer.get("Cache-Control", "")
    found = [] if control else ["says nothing"]
    if is_shared(control):
        found.append("is shared")
    varies = {name.strip().lower() for name in answer.get("Vary", "").split(",")}
    if NO_STORE not in control and not {"cookie", "authorization", "accept-language"} <= varies:
        found.append(f"does not vary: {sorted(varies)}")
    return found


def test_only_what_is_listed_here_is_public() -> None:
    declared = {route.pattern for route in every_route() if class_of(route.path, route.view) == PageClass.PUBLIC}
    assert declared == PUBLIC


def test_no_page_can_be_kept_for_another_reader() -> None:
    client, wrong, seen = Client(raise_request_exception=False), {}, 0
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    for route in every_route():
        if route.pattern not in PUBLIC and not route.pattern.startswith("api/"):
            answer = client.get(route.path, headers={"Accept": "text/html"})
            seen += answer.status_code == 200
            if found := faults(answer):
                wrong[str(route)] = (answer.status_code, *found)
    assert wrong == {}
    assert seen > 40, "most pages without a parameter answer"


def test_no_answer_of_the_api_and_no_link_is_kept_at_all(acme: Owned) -> None:
    api, wrong = make_api(acme.tenant), {}
    for route in every_route():
        if route.pattern.startswith(("api/", "l/", "u/")):
            path = path_of(route, acme) if route.pattern in SAMPLES else route.path
            answer = api.get(path)
            if NO_STORE not in answer.get("Cache-Control", ""):
                wrong[str(route)] = (answer.status_code, answer.get("Cache-Control"))
    assert wrong == {}


def answer_of(page: PageClass, *, cookie: bool = False, **headers: str) -> HttpResponse:
    """Return what the middleware makes of an answer of a view of a class."""

    @page_class(page)
    def view(_request: Any) -> HttpResponse:
        answer = HttpResponse("ok")
        if cookie:
            answer.set_cookie("visitor", "1")
        return answer

    request = RequestFactory().get("/portal/", headers=headers)
    middleware = CacheMiddleware(view)
    middleware.process_view(request, view, (), {})
    found = middleware.process_response(request, view(request))
    assert isinstance(found, HttpResponse)
    return found


def test_how_long_a_page_is_kept_is_configured_by_class() -> None:
    with links_and_cache.set(portal_cache_seconds=120, customer_cache_seconds=0):
        controls = {page: answer_of(page)["Cache-Control"] for page in PageClass}
    assert controls == {
        PageClass.PUBLIC: "public, max-age=120",
        PageClass.PRIVATE: "private, no-cache",
        PageClass.STAFF: "private, no-cache",
        PageClass.NEVER: NO_STORE,
    }
    assert answer_of(PageClass.PUBLIC)["Vary"] == "Accept-Language, Cookie, Authorization"


def test_a_public_page_that_is_made_for_one_reader_is_not_stored() -> None:
    assert answer_of(PageClass.PUBLIC, cookie=True)["Cache-Control"] == NO_STORE
    assert answer_of(PageClass.PUBLIC, authorization="Bearer x")["Cache-Control"] == NO_STORE
