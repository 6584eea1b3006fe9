"""No address is open by oversight."""

import pytest
from django.http.response import HttpResponseBase
from django.test import Client
from rest_framework.views import APIView

from accounts.scopes import ADMIN, SCOPES
from messaging.configuration.flow import flow_rules
from tests.architecture.routes import Route, api_routes, every_route, methods_of
from tests.builders import Api, configure, json_of, make_api, make_tenant

#: Open to everybody, each for a reason.
OPEN = {
    "": "sends the reader on to the admin",
    "health/": "load balancers have no key",
    "health/ready/": "load balancers have no key",
    "docs/": "the API reference",
    "docs/errors/": "what error codes mean",
    "docs/runbook/": "what to do about an alarm, opened from a notice; the file is part of the product",
    "api/schema/": "the API reference in a form for machines",
    "api/receipts/<uuid:provider>/": "a provider signs with its own secret; see test_receipts",
    "admin/login/": "the way in",
    "admin/logout/": "the way out; sends a stranger on to the way in",
    "l/<str:token>/": "a safe link: its address is what allows it; see tests/routing/links",
    "in/<uuid:entrance>/": "other systems sign with the entrance's own secret; see tests/routing/entrances",
    "u/<str:token>/": "the unsubscribe link of an e-mail: its token is what allows it; see test_unsubscribe",
    "chat/files/<str:signed>/": "a file of a line: its signed address is what allows it; see tests/routing/entrances/test_portal.py",
    "chat/<uuid:entrance>/session/": "a visitor begins a session",
    "chat/<uuid:entrance>/lines/": "a visitor's token is asked once the entrance is known; see tests/routing/entrances/test_portal.py",
    "chat/<uuid:entrance>/read/": "as its lines",
    "chat/<uuid:entrance>/files/": "as its lines",
    "help/<str:entrance>/": "the portal: its pages are for everybody; see tests/routing/portal",
    "help/<str:entrance>/chat/": "the portal's chat, whose script asks with the visitor's token",
    "help/<str:entrance>/articles/": "published FAQ entries",
    "help/<str:entrance>/a/<str:slug>/": "a published FAQ entry",
    "help/<str:entrance>/request/": "forms of public ticket types",
    "help/<str:entrance>/requests/": "an empty page, whose script asks with the visitor's token",
    "help/<str:entrance>/requests/<int:number>/": "an empty page, whose script asks with the visitor's token",
    "help/<str:entrance>/widget.js": "the script that sites embed",
    "help/<str:entrance>/demo/": "the page of a shop, of the demo's tenant only",
    "help/<str:entrance>/state/": "whether the desk is open; what is a visitor's own needs their token",
    "help/<str:entrance>/suggest/": "published FAQ entries",
    "help/<str:entrance>/vote/<str:slug>/": "whether an article helped, once for a visitor",
    "help/<str:entrance>/rating/": "a visitor's token is asked once the entrance is known; see tests/routing/portal/test_calls.py",
    "help/<str:entrance>/email/": "as the rating",
    "help/<str:entrance>/transcript/": "as the rating",
    "help/<str:entrance>/device/": "as the rating",
    "help/<str:entrance>/tickets/": "as the rating",
    "help/<str:entrance>/tickets/<int:number>/": "as the rating",
    "help/<str:entrance>/tickets/<int:number>/rating/": "as the rating",
    "i18n/setlang/": "keeps the reader's language in a cookie",
}
#: Needs a key, but no scope.
NO_SCOPE = {"api/me/"}

pytestmark = pytest.mark.django_db


def is_refused(route: Route, answer: HttpResponseBase) -> bool:
    """Return whether an answer shows nothing to a stranger."""
    if route.pattern.startswith("api/"):
        return answer.status_code == 401 and answer["Content-Type"] == "application/problem+json"
    sent_to_login = answer.status_code == 302 and "/admin/login/" in answer["Location"]
    return sent_to_login or answer.status_code in (401, 403)


def closed_routes() -> list[Route]:
    return [route for route in every_route() if route.pattern not in OPEN]


def test_there_are_routes_to_walk() -> None:
    assert len(api_routes()) > 25
    assert any(route.pattern.startswith("admin/") for route in closed_routes())


def test_every_exception_is_still_an_address() -> None:
    assert set(OPEN) | NO_SCOPE <= {route.pattern for route in every_route()}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
def test_every_route_refuses_a_stranger(method: str) -> None:
    configure(flow_rules, rules=[])  # a refusal for asking too often would say nothing about the address
    client = Client(raise_request_exception=False)
    with flow_rules.set(rules=[]):  # a limit on pages without a login would answer before the page does
        answers = {
            str(route): (route, client.generic(method, route.path, b"{}", content_type="application/json")) for route in closed_routes()
        }
    assert {name: answer.status_code for name, (route, answer) in answers.items() if not is_refused(route, answer)} == {}, (
        "open to strangers: demand authentication there, or say in OPEN why not"
    )


@pytest.mark.parametrize("key", ["nonsense", "ph_live_ABCDEFGH_" + "x" * 43])
def test_every_api_route_refuses_a_wrong_key(key: str) -> None:
    api = Api(key)
    closed = [route for route in api_routes() if route.pattern not in OPEN]
    answers = {f"{method} {route}": api.request(method, route.path, {}) for route in closed for method in methods_of(route)}
    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code != 401} == {}


def test_every_api_view_names_a_scope_for_each_of_its_methods() -> None:
    for route in api_routes():
        assert issubclass(route.view_class, APIView), route
        if route.pattern in OPEN or route.pattern in NO_SCOPE:
            continue
        assert set(route.view_class.scopes) == set(methods_of(route)), f"{route}: one scope for each method, no more"
        assert set(route.view_class.scopes.values()) <= set(SCOPES), route


def test_every_api_route_refuses_a_key_without_the_scope_and_names_it() -> None:
    tenant = make_tenant()
    others = {scope: make_api(tenant, *(set(SCOPES) - {ADMIN, scope})) for scope in SCOPES}
    for route in api_routes():
        if route.pattern in OPEN or route.pattern in NO_SCOPE:
            continue
        for method, scope in route.view_class.scopes.items():
            answer = others[scope].request(method, route.path, {})
            assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json"), f"{method} {route}"
            assert scope in json_of(answer)["detail"], f"{method} {route}"


def test_no_api_route_answers_options_or_an_unknown_method_with_an_error_of_ours() -> None:
    api = make_api(make_tenant())
    for route in api_routes():
        for method in ("OPTIONS", "HEAD", "TRACE", "PROPFIND"):
            answer = api.request(method, route.path)
            assert answer.status_code < 500, f"{method} {route}"


def test_every_api_route_answers_without_its_trailing_slash() -> None:
    for route in api_routes():
        method = methods_of(route)[0]
        with_slash, without = (Api().request(method, path) for path in (route.path, route.path.rstrip("/")))
        assert without.status_code == with_slash.status_code, route
        assert without.status_code not in (301, 302, 307, 308), route
