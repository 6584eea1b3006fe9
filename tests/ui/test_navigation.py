"""The navigation: what each app declares, shown to those who may open it, with the place they are at."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from accounts.models import ConfigRight, Member, User
from accounts.roles import Role
from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group
from tests.builders import make_tenant

pytestmark = pytest.mark.django_db
Add = Callable[..., Entry]


@pytest.fixture
def add() -> Iterator[Add]:
    """Add an entry for the length of a test."""
    added = []

    def made(url: str = "docs", **fields: Any) -> Entry:
        entry = Entry(group=Group.DESK, order=1, url=url, icon="pending", label="Added", **fields)
        navigation.add(entry)
        added.append(entry)
        return entry

    yield made
    navigation.remove(*added)


def groups_for(user: object, address: str = "/admin/") -> list[dict[str, Any]]:
    request = RequestFactory().get(address)
    request.user = user  # type: ignore[assignment]
    return navigation.for_request(request)


def labels(groups: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {str(group["group"]): [str(entry["label"]) for entry in group["entries"]] for group in groups}


def here(groups: list[dict[str, Any]]) -> list[str]:
    return [str(entry["label"]) for group in groups for entry in group["entries"] if entry["here"]]


def test_a_superuser_sees_every_entry_in_its_group_and_order() -> None:
    shown = labels(groups_for(User(username="root", is_staff=True, is_superuser=True)))
    assert list(shown) == ["operate", "desk", "configure", "records", "access"]
    assert shown["desk"] == [
        "Desk",
        "Conversations",
        "Tickets",
        "Customers",
        "Merges of customers",
        "Supervisor",
        "Reports",
        "Agents",
        "Satisfaction",
        "Safe links",
    ]
    assert shown["operate"] == [
        "Overview",
        "Big screen",
        "Messages",
        "Dead letters",
        "Batches",
        "Providers",
        "Breakers",
        "Limits",
        "Queues and pools",
        "Instances",
        "Jobs",
        "Alarms",
        "Locks",
    ]
    assert shown["configure"] == [
        "Templates",
        "Webhook endpoints",
        "Configuration",
        "Intents",
        "Utterances",
        "Intent models",
        "FAQ",
        "Entrances",
        "Contact ways",
        "Skill groups",
        "Business calendars",
        "Ticket types",
        "Quick replies",
        "Tags",
    ]


def test_an_empty_group_has_no_heading() -> None:
    assert list(labels(groups_for(AnonymousUser()))) == ["operate"]  # the overview, which decides itself what it shows


def test_the_configuration_pages_are_for_those_with_the_right_and_no_others() -> None:
    viewer = User.objects.create_user("viewer", is_staff=True, config_right=ConfigRight.VIEW)
    assert {"Breakers", "Limits", "Locks"} <= set(labels(groups_for(viewer))["operate"])
    other = User.objects.create_user("other", is_staff=True)
    Member.objects.create(user=other, tenant=make_tenant(), role=Role.VIEWER)
    assert not {"Breakers", "Limits", "Locks"} & set(labels(groups_for(other))["operate"])


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("/admin/", ["Overview"]),
        ("/admin/messaging/message/", ["Messages"]),
        ("/admin/messaging/message/?state=dead&channel=sms", ["Messages"]),
        ("/dead-letters/replay/?code=timeout", ["Dead letters"]),
        ("/admin/messaging/message/?state=sent", ["Messages"]),
        ("/jobs/4711/edit/", ["Jobs"]),
        ("/config/", ["Configuration"]),
        ("/config/modules/queues/", ["Configuration"]),
        ("/config/breakers/", ["Breakers"]),
        ("/admin/password_change/", []),
    ],
)
def test_the_closest_entry_is_where_the_reader_is(address: str, label: list[str]) -> None:
    assert here(groups_for(User(username="root", is_staff=True, is_superuser=True), address)) == label


def test_an_entry_that_is_added_is_shown_to_those_its_function_allows(add: Add) -> None:
    add(allowed=lambda user: user.username == "ann")
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    assert labels(groups_for(ann))["desk"] == ["Added"]
    assert "desk" not in labels(groups_for(bob))


def test_an_entry_whose_page_is_not_installed_is_not_shown(add: Add) -> None:
    add(url="not-installed")
    assert "desk" not in labels(groups_for(AnonymousUser()))


def test_the_overview_names_pages_as_the_navigation_does() -> None:
    request = RequestFactory().get("/admin/")
    request.user = User.objects.create_superuser("root")
    names = {str(model["name"]) for app in admin.site.get_app_list(request) for model in app["models"]}
    assert {"Webhook endpoints", "Suppressed recipients"} <= names
