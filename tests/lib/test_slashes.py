from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from posthaste.lib.slashes import OptionalSlashMiddleware


@pytest.fixture
def resolved() -> Callable[[str], str]:
    seen: list[HttpRequest] = []

    def get_response(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    middleware = OptionalSlashMiddleware(get_response)

    def resolve(path: str) -> str:
        middleware(RequestFactory().post(path, b"{}", content_type="application/json"))
        assert seen[-1].body == b"{}"
        return seen[-1].path_info

    return resolve


@pytest.mark.parametrize(
    ("asked", "resolved_as"),
    [
        ("/health", "/health/"),
        ("/health/", "/health/"),
        ("/api/messages", "/api/messages/"),
        ("/api/messages/batch", "/api/messages/batch/"),
        ("/api/messages/statistics/overview", "/api/messages/statistics/overview/"),
        ("/api/messages/0192f0c1-a2b3-7c4d-8e9f-001122334455", "/api/messages/0192f0c1-a2b3-7c4d-8e9f-001122334455/"),
        ("/admin", "/admin/"),
        ("/docs", "/docs/"),
        ("/api/nothing", "/api/nothing"),
        ("/nothing", "/nothing"),
        ("/", "/"),
    ],
)
def test_a_missing_slash_is_added_where_that_makes_an_address(asked: str, resolved_as: str, resolved: Callable[[str], str]) -> None:
    assert resolved(asked) == resolved_as


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example", "/api/messages//", "/%2e%2e/admin", "/\x00"])
def test_strange_paths_are_left_as_they_are(path: str, resolved: Callable[[str], str]) -> None:
    assert resolved(path).rstrip("/") in (path.rstrip("/"), "/../admin", "/evil.example", "", "/")
