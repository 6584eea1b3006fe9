"""What apps declare for the interface wrongly is reported at the start, with what to do."""

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import clear_url_caches

import posthaste.urls
from posthaste.ui import navigation, pages
from posthaste.ui.checks import check_navigation, check_pages
from posthaste.ui.navigation import Entry, Group
from posthaste.ui.pages import at, in_admin

Hang = Callable[..., list[str]]


def view(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse("added")


@pytest.fixture
def hang() -> Iterator[Hang]:
    """Add pages at addresses for the length of a test and return what the check says."""
    hung = list(pages._pages)

    def added(*addresses: str, name: str = "trial") -> list[str]:
        for number, address in enumerate(addresses):
            at(address, name=f"{name}{number or ''}")(view)
        importlib.reload(posthaste.urls)
        clear_url_caches()
        return [f"{error.id} {error.msg} {error.hint}" for error in check_pages()]

    yield added
    pages._pages[:] = hung
    importlib.reload(posthaste.urls)
    clear_url_caches()


def test_the_project_itself_has_no_error() -> None:
    assert check_pages() == []
    assert check_navigation() == []


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        ("admin/", "django.contrib.admin"),
        ("admin/trial/", "in_admin"),
        ("", "RedirectView"),
        ("health/", "/health"),
        ("health", "/health"),
        ("config/breakers/new/", "/config/breakers/<str:name>/"),
        ("config/<slug:any>/", "/config/items/"),
        ("config/modules/<str:any>/publish/", "/config/modules/<slug:name>/publish/"),
        ("api/<path:any>", "/api/"),
    ],
)
def test_an_address_that_is_taken_is_reported_with_both_views(address: str, taken: str, hang: Hang) -> None:
    found = hang(address)
    assert any(taken in error for error in found), found
    assert all(error.startswith("ui.E001") and "test_checks.view" in error for error in found)


@pytest.mark.django_db
def test_a_page_never_takes_over_an_address_that_was_there_before(hang: Hang) -> None:
    hang("admin/", "health/")
    assert b"added" not in Client().get("/admin/").content
    assert b"added" not in Client().get("/health").content


def test_pages_of_one_app_may_overlap(hang: Hang) -> None:
    assert hang("orders/new/", "orders/<str:number>/") == []


def test_a_name_that_is_taken_is_reported(hang: Hang) -> None:
    [error] = hang("trial/", name="docs")
    assert error.startswith("ui.E002")
    assert "'docs'" in error


@pytest.mark.parametrize("declare", [at, in_admin])
def test_two_pages_never_share_an_address_or_a_name(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_pages", [])
    monkeypatch.setattr(pages, "_pages_in_admin", [])
    declare("trial/", name="trial")(view)
    with pytest.raises(ValueError, match=r"address 'trial/', which is taken by tests\.ui\.test_checks\.view"):
        declare("trial/", name="other")(view)
    with pytest.raises(ValueError, match=r"name 'trial', which is taken by tests\.ui\.test_checks\.view"):
        declare("other/", name="trial")(view)
    with pytest.raises(ValueError, match="without the slash"):
        declare("/slash/", name="slash")(view)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"icon": "pendign"}, ("ui.E003", "pendign", "pending, ")),
        ({"url": "no-such-page"}, ("ui.E004", "no-such-page", "name of an address")),
        ({"allowed": "messaging.view_mesage"}, ("ui.E005", "view_mesage", "messaging.view_message")),
    ],
)
def test_an_entry_that_would_not_be_shown_as_meant_is_reported(fields: dict[str, Any], said: tuple[str, ...]) -> None:
    values: dict[str, Any] = {"group": Group.DESK, "order": 1, "url": "docs", "icon": "pending", "label": "Trial"} | fields
    entry = Entry(**values)
    navigation.add(entry)
    try:
        [error] = check_navigation()
    finally:
        navigation.remove(entry)
    assert all(part in f"{error.id} {error.msg} {error.hint}" for part in ("Trial", *said))


def test_an_entry_without_a_group_is_refused() -> None:
    group: Any = "somewhere"
    with pytest.raises(ValueError, match=r"Group\.DESK"):
        navigation.add(Entry(group=group, order=1, url="docs", icon="pending", label="Trial"))


def test_an_entry_whose_function_fails_is_left_out_and_the_others_are_shown() -> None:
    entry = Entry(group=Group.DESK, order=1, url="docs", icon="pending", label="Trial", allowed=lambda user: user.nonsense)
    navigation.add(entry)
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    try:
        shown = navigation.for_request(request)
    finally:
        navigation.remove(entry)
    assert [str(group["group"]) for group in shown] == ["operate"]
