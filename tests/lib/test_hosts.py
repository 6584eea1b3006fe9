"""A request for a host that is not ours is refused at every address, also at those that do not pass through Django."""

from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import User
from posthaste import wsgi
from posthaste.lib import hosts

pytestmark = pytest.mark.django_db


def request_environ(**given: Any) -> dict[str, Any]:
    """Return what a WSGI server tells of a request."""
    return dict(RequestFactory().generic(given["REQUEST_METHOD"], given["PATH_INFO"], **given).environ)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a b", "localhost@evil.example", "ours.example.evil.example", ""])
def test_another_host_is_not_ours(host: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ours.example"]
    assert not hosts.is_allowed(host)


@pytest.mark.parametrize("host", ["ours.example", "OURS.example", "ours.example:8000", "ours.example."])
def test_our_host_is_ours(host: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["ours.example"]
    assert hosts.is_allowed(host)


@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch", "/api/receipts/x/", "/health", "/admin/login/"])
def test_every_address_refuses_another_host(path: str) -> None:
    method = "POST" if path.startswith("/api") else "GET"
    seen: list[str] = []

    def start(status: str, _headers: Any, _error: Any = None) -> None:
        seen.append(status)

    environ = request_environ(REQUEST_METHOD=method, PATH_INFO=path, HTTP_HOST="evil.example")
    b"".join(wsgi.application(environ, start))
    assert seen[0].startswith("400")


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "javascript:alert(1)", ""])
def test_a_refused_next_leads_to_the_start_page(following: str) -> None:
    User.objects.create_user("ada", password="correct horse battery", is_staff=True, is_superuser=True)
    form = {"username": "ada", "password": "correct horse battery", "next": following}
    answer = Client().post(f"{reverse('admin:login')}?next={following}", form, follow=True)
    assert (answer.status_code, answer.redirect_chain[0][0]) == (200, reverse("admin:index"))
