"""The pages of apps: hung up by a line, guarded, in the admin's frame."""

import importlib
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import clear_url_caches, reverse

import posthaste.urls
from accounts.models import User
from posthaste.lib.problems import Conflict
from posthaste.ui import navigation, pages

pytestmark = pytest.mark.django_db
ADDED = "tests.ui.added_app"


@pytest.fixture
def added_app(settings: Any) -> Iterator[None]:
    """Install one more app, as the recipe says."""
    hung = list(pages._pages)
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, ADDED]
    try:
        importlib.reload(posthaste.urls)
        clear_url_caches()
        yield
    finally:
        settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != ADDED]
        pages._pages[:] = hung
        navigation.remove(sys.modules.pop(f"{ADDED}.pages").ENTRY)
        importlib.reload(posthaste.urls)
        clear_url_caches()


def signed_in(*, is_superuser: bool = True) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("ann", is_staff=True, is_superuser=is_superuser))
    return client


@pytest.mark.usefixtures("added_app")
def test_a_page_takes_one_file_and_its_app_in_the_settings() -> None:
    answer = signed_in().get(reverse("added-page"))
    assert answer.status_code == 200
    content = answer.content.decode()
    assert "What it is for." in content
    assert '<a class="entry" href="/added/" title="Added page" aria-current="page">' in content


@pytest.mark.usefixtures("added_app")
def test_a_page_is_closed_to_strangers_and_to_those_it_is_not_for() -> None:
    assert Client().get("/added/")["Location"].startswith(reverse("admin:login"))
    client = signed_in(is_superuser=False)
    assert client.get("/added/").status_code == 403
    assert "Added page" not in client.get(reverse("admin:index")).content.decode()


@pytest.mark.usefixtures("added_app")
def test_a_page_that_only_shows_takes_no_post() -> None:
    assert signed_in().post("/added/").status_code == 405


def test_without_the_app_there_is_no_page() -> None:
    assert signed_in().get("/added/").status_code == 404


def answer_of(view: pages.View, method: str = "GET") -> HttpResponse:
    request = RequestFactory().generic(method, "/")
    request.user = User.objects.create_user("bob", is_staff=True)
    return view(request)


def test_a_problem_of_a_service_is_a_page_that_says_what_to_do() -> None:
    @pages.staff_page(allowed=lambda user: True)
    def view(request: HttpRequest) -> HttpResponse:
        raise Conflict("It was changed meanwhile: load it again.")

    answer = answer_of(view)
    assert answer.status_code == 409
    assert "It was changed meanwhile: load it again." in answer.content.decode()


def test_a_change_may_need_more_than_looking() -> None:
    @pages.staff_page(allowed=lambda user: True, to_change=lambda user: False, methods=("GET", "POST"), refusal="Ask Eve for it.")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("shown")

    assert answer_of(view).content == b"shown"
    User.objects.all().delete()
    refused = answer_of(view, "POST")
    assert refused.status_code == 403
    assert "Ask Eve for it." in refused.content.decode()


def test_another_method_gets_a_page_that_says_what_to_do() -> None:
    @pages.staff_page(allowed=lambda user: True, methods=("POST",))
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("changed")

    answer = answer_of(view)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Go back to that page." in answer.content.decode()


@pytest.mark.parametrize(
    ("method", "origin", "then"),
    [
        ("GET", "", "/trial/?a=1"),
        ("POST", "http://testserver/list/?state=open", "/list/?state=open"),
        ("POST", "https://elsewhere.example/list/", "/admin/"),
        ("POST", "", "/admin/"),
    ],
)
def test_signing_in_leads_back_to_a_page_that_can_be_opened(method: str, origin: str, then: str) -> None:
    @pages.staff_page(allowed=lambda user: True, methods=("GET", "POST"))
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("shown")

    request = RequestFactory().generic(method, "/trial/?a=1", headers={"Referer": origin})
    request.user = AnonymousUser()
    assert parse_qs(urlsplit(view(request)["Location"]).query) == {"next": [then]}


def test_who_may_not_see_a_page_is_told_so() -> None:
    @pages.staff_page(allowed=lambda user: False)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("shown")

    assert "have permission to see this page" in answer_of(view).content.decode()
