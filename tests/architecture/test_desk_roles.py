"""Who may read and who may write at the desk: tried for everyone at every address, so a new one must be listed here.

Each person has a letter: (O)wner and (S)upervisor of the tenant, an (A)gent of the conversation's group and a (B)ystander, an agent of
another group; a (V)iewer, who is no agent. An owner of another tenant gets their own desk where an address names nothing, and nothing where
it names what is this tenant's. Signed out, no one gets anything.
"""

import copy
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.desk.data import acting, many
from routing.models import Attachment, Conversation, EntranceKind, QuickReply, ReportSchedule, SavedFilter, Ticket
from tests.architecture.routes import Route, every_route
from tests.architecture.test_tenants import snapshot
from tests.builders import make_tenant
from tests.kept import kept, undone
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_customer, make_entrance
from tests.routing.conversations.builders import make_attachment
from tests.routing.desk.builders import ask, hold, make_staff
from tests.routing.tickets.builders import make_ticket

pytestmark = pytest.mark.django_db
TENANT = "Unmistakable"
ALL, DESK, LEADERS = "OSABV", "OSAB", "OS"
#: With the conversation, which is of the group of A and not of that of B.
TALKS = "OSA"
#: Address → who reads it (GET), and who writes it (POST, or the method that stands behind the letters).
ROUTES: dict[str, tuple[str, str]] = {
    "desk/": (ALL, ""),
    "desk/c/<uuid:conversation>/": (ALL, ""),  # the page without what is in it: see its data
    "desk/tickets/": (ALL, ""),
    "desk/tickets/<int:number>/": (ALL, DESK),
    "desk/tickets/new/": (DESK, DESK),
    "desk/supervisor/": (LEADERS, LEADERS),
    "desk/supervisor/charts/": (LEADERS, ""),
    "desk/reports/": (LEADERS, ""),
    "desk/reports/schedules/": (LEADERS, LEADERS),
    "desk/reports/schedules/<uuid:schedule>/": (LEADERS, LEADERS),
    "desk/data/inbox/": (DESK, ""),
    "desk/data/rows/": (DESK, ""),
    "desk/data/me/": (DESK, ""),
    "desk/data/files/": ("", "AB"),
    "desk/data/files/<uuid:pk>/": (TALKS, ""),
    "desk/data/c/<uuid:pk>/": (TALKS, ""),
    "desk/data/c/<uuid:pk>/lines/": (TALKS, ""),
    "desk/data/c/<uuid:pk>/suggestions/": (TALKS, ""),
    "desk/data/c/<uuid:pk>/<slug:action>/": ("", TALKS),
    "desk/data/bulk/": ("", DESK),  # each conversation for itself: see below
    "desk/data/bulk/merge/": (TALKS, ""),
    "desk/data/quick-replies/": (DESK, ""),
    "desk/data/quick-replies/<uuid:pk>/used/": ("", DESK),
    "desk/data/filters/": (DESK, "AB"),
    "desk/data/filters/<uuid:pk>/": ("", "A DELETE"),
    "desk/data/notices/": (DESK, ""),
    "desk/data/notices/read/": ("", "AB"),
    "desk/data/presence/": ("", "AB"),
    "desk/data/export/": (DESK, ""),
}
#: What is done with a conversation → who does it. Only agents write to customers; who supervises decides.
ACTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "reply": ("A", {"text": "Hello"}),
    "draft": ("A", {"text": "Hel"}),
    "side": ("A", {"to": "bob@example.com", "subject": "Lamp", "text": "Is it there?"}),
    "claim": ("A", {}),
    "note": (TALKS, {"text": "Call back"}),
    "read": (TALKS, {"seq": 1}),
    "transfer": (TALKS, {"group": "(the group)"}),
    "release": (TALKS, {}),
    "resolve": (TALKS, {}),
    "reopen": (TALKS, {}),
    "close": (TALKS, {}),
    "spam": (TALKS, {}),
    "snooze": (TALKS, {"until": None}),
    "tags": (TALKS, {"add": ["vip"]}),
    "priority": (TALKS, {"priority": 7}),
    "intent": (TALKS, {"intent": ""}),
    "merge": (TALKS, {"into": "(another)"}),
    "unmerge": (TALKS, {}),
}
#: Models with pages in the admin → who sees their list, and who adds one.
MODELS: dict[str, tuple[str, str]] = {
    "agent": (ALL, LEADERS), "arrival": (ALL, ""), "assignment": (ALL, ""), "botturn": (ALL, ""), "businesscalendar": (ALL, LEADERS),
    "clock": (ALL, ""), "contactway": (ALL, LEADERS), "conversation": (ALL, ""), "customer": (ALL, ""), "customermerge": (ALL, ""),
    "entrance": (ALL, LEADERS), "faqentry": (ALL, LEADERS), "intent": (ALL, LEADERS), "intentmodel": (ALL, LEADERS),
    "quickreply": (ALL, LEADERS), "safelink": (ALL, ""), "satisfaction": (ALL, ""), "skillgroup": (ALL, LEADERS), "tag": (ALL, LEADERS),
    "ticket": (ALL, ""), "tickettype": (ALL, LEADERS), "utterance": (ALL, LEADERS),
}  # fmt: skip
REFUSED = {401, 403, 404, 405}


@dataclass(frozen=True)
class Place:
    """A tenant with something at each address of the desk, and everyone by their letter."""

    tenant: Tenant
    people: dict[str, User]
    talk: Conversation
    another: Conversation
    ticket: Ticket
    file: Attachment
    quick_reply: QuickReply
    own_filter: SavedFilter
    schedule: ReportSchedule


def make_place() -> Place:
    tenant, now = make_tenant(TENANT), timezone.now()
    group, other = (make_group(tenant, name, at=now) for name in ("orders", "returns"))
    agent, bystander = make_agent(tenant, group, at=now), make_agent(tenant, other, at=now)
    people = {"O": make_staff(tenant, Role.OWNER), "S": make_staff(tenant, Role.OPERATOR), "V": make_staff(tenant, Role.VIEWER)}
    people |= {"A": agent.user, "B": bystander.user, "E": make_staff(make_tenant("Elsewhere"), Role.OWNER)}
    Member.objects.filter(user__in=[agent.user, bystander.user]).update(role=Role.VIEWER)
    make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "help@shop.example"})
    make_entrance(tenant, EntranceKind.WECOM_CONTACT)
    customer = make_customer(tenant, name=TENANT)
    talk, another = (hold(ask(tenant, group, customer=customer), agent) for _ in "ab")
    return Place(
        tenant=tenant,
        people=people,
        talk=talk,
        another=another,
        ticket=make_ticket(tenant, at=now, subject=TENANT),
        file=make_attachment(talk),
        quick_reply=QuickReply.objects.create(tenant=tenant, shortcut="hello", title=TENANT, text="Hi", created_at=now, changed_at=now),
        own_filter=SavedFilter.objects.create(tenant=tenant, agent=agent, name="Mine", created_at=now),
        schedule=ReportSchedule.objects.create(tenant=tenant, report="day", recipients=["a@example.com"], is_active=False, created_at=now),
    )


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Place]:
    yield from kept(django_db_blocker, make_place)


@pytest.fixture
def place(made: Place) -> Place:
    return copy.deepcopy(made)


def desk_routes() -> list[Route]:
    return [route for route in every_route() if route.pattern.startswith("desk/")]


def path_of(pattern: str, place: Place, action: str = "note") -> str:
    own = {"files": place.file, "quick-replies": place.quick_reply, "filters": place.own_filter}
    row = next((row for part, row in own.items() if f"/{part}/" in pattern), place.talk)
    values = {"uuid:conversation": place.talk.pk, "int:number": place.ticket.number, "uuid:schedule": place.schedule.pk, "uuid:pk": row.pk}
    for name, value in {**values, "slug:action": action}.items():
        pattern = pattern.replace(f"<{name}>", str(value))
    return f"/{pattern}"


def client_of(place: Place, letter: str) -> Client:
    client = Client()
    if letter in place.people:
        client.force_login(place.people[letter])
    return client


def is_let_in(answer: Any) -> bool:
    assert answer.status_code < 500, answer.content
    return answer.status_code not in REFUSED and "/admin/login/" not in answer.headers.get("Location", "")


QUERIES = {"desk/data/c/<uuid:pk>/lines/": {"after": "0"}}


def let_in_to_read(route: str, place: Place) -> str:
    """Return the letters of those who may read an address, and check that others get nothing of the tenant."""
    query = {"ids": f"{place.talk.pk},{place.another.pk}"} if route == "desk/data/bulk/merge/" else QUERIES.get(route, {})
    shown, found = route == "desk/c/<uuid:conversation>/", ""
    for letter in f"{ALL}EN":
        answer = client_of(place, letter).get(path_of(route, place), query)
        assert answer.status_code < 500, (letter, route)
        if letter in ALL:
            found += letter if answer.status_code == 200 else ""
            continue
        assert TENANT not in answer.getvalue().decode(errors="replace"), (letter, route)
        if letter == "N" or (("<" in route or query) and not shown):  # the page of a conversation shows nothing of it
            assert answer.status_code != 200, (letter, route)
    return found


BODIES: dict[str, dict[str, Any]] = {
    "desk/data/bulk/": {"action": "note", "ids": ["(the conversation)"], "parameters": {"text": "Hello"}},
    "desk/data/filters/": {"name": "New", "query": {}},
    "desk/data/presence/": {"presence": "online"},
}
NOTE = "do=note&text=Hello"


def sent(client: Client, route: str, place: Place, method: str) -> Any:
    """Send what an address takes."""
    path = path_of(route, place)
    if route == "desk/data/files/":
        return client.post(path, {"file": SimpleUploadedFile("plan.txt", b"hi")})
    if route.startswith("desk/data/"):
        body = {"text": "Hello"} if "<slug:action>" in route else BODIES.get(route, {})
        body = {**body, "ids": [str(place.talk.pk)]} if "ids" in body else body
        return client.generic(method, path, orjson.dumps(body), content_type="application/json")
    return client.generic(
        method, path, NOTE if route == "desk/tickets/<int:number>/" else "", content_type="application/x-www-form-urlencoded"
    )


def test_every_address_of_the_desk_says_here_who_reads_and_writes_it() -> None:
    assert {route.pattern for route in desk_routes()} == set(ROUTES)
    assert set(ACTIONS) == set(acting.ACTIONS)
    assert set(many.MANY) <= set(ACTIONS)
    assert {model._meta.model_name for model in admin.site._registry if model._meta.app_label == "routing"} == set(MODELS)


def test_the_desk_is_read_by_those_alone_who_may(place: Place) -> None:
    found = {route: let_in_to_read(route, place) for route in ROUTES}
    assert found == {route: read for route, (read, _write) in ROUTES.items()}


def test_the_desk_is_written_by_those_alone_who_may(place: Place) -> None:
    found, before = {}, snapshot(place.tenant)
    for route, (_read, write) in ROUTES.items():
        letters, _blank, method = write.partition(" ")
        found[route] = ""
        for letter in f"{ALL}EN":
            with undone() if letter in letters else nullcontext():
                is_in = is_let_in(sent(client_of(place, letter), route, place, method or "POST"))
            found[route] += letter if is_in and letter in ALL else ""
            assert not (is_in and (letter == "N" or (letter == "E" and "<" in route))), (letter, route)
    assert found == {route: write.partition(" ")[0] for route, (_read, write) in ROUTES.items()}
    assert snapshot(place.tenant) == before, "what was refused left nothing"


def test_each_action_with_a_conversation_is_done_by_those_alone_who_may(place: Place) -> None:
    found: dict[str, str] = {}
    named = {"(the group)": str(place.talk.group_id), "(another)": str(place.another.pk)}
    for action, (_who, body) in ACTIONS.items():
        filled = {name: named.get(value, value) if isinstance(value, str) else value for name, value in body.items()}
        found[action] = ""
        for letter in f"{ALL}EN":
            with undone():
                path = path_of("desk/data/c/<uuid:pk>/<slug:action>/", place, action)
                answer = client_of(place, letter).post(path, orjson.dumps(filled), content_type="application/json")
                found[action] += letter if is_let_in(answer) else ""
    assert found == {action: who for action, (who, _body) in ACTIONS.items()}


def test_of_many_conversations_none_is_touched_that_is_not_ones_own(place: Place) -> None:
    body = orjson.dumps({"action": "close", "ids": [str(place.talk.pk)], "parameters": {}})
    for letter in "BE":
        answer = client_of(place, letter).post("/desk/data/bulk/", body, content_type="application/json")
        assert orjson.loads(answer.content)["done"] == []
    assert Conversation.objects.get(pk=place.talk.pk).status == "assigned"


def test_the_pages_of_the_admin_are_shown_and_offer_a_row_to_those_alone_who_may(place: Place) -> None:
    found = {}
    for model, page in admin.site._registry.items():
        if model._meta.app_label == "routing":
            asked = {letter: asked_by(place.people[letter]) for letter in ALL}
            seen = "".join(letter for letter in ALL if page.has_view_permission(asked[letter]))
            added = "".join(letter for letter in ALL if page.has_add_permission(asked[letter]))
            found[str(model._meta.model_name)] = (seen, added)
            assert not page.get_queryset(asked_by(place.people["E"])).exists(), model
    assert found == MODELS


def asked_by(user: User) -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    return request


def test_a_role_that_was_taken_away_ends_at_once(place: Place) -> None:
    client = client_of(place, "A")
    assert is_let_in(client.get(path_of("desk/data/c/<uuid:pk>/", place)))
    Member.objects.filter(tenant=place.tenant, user=place.people["A"]).delete()
    assert not is_let_in(client.get(path_of("desk/data/c/<uuid:pk>/", place)))
    before = snapshot(place.tenant)
    assert not is_let_in(
        client.post(path_of("desk/data/c/<uuid:pk>/<slug:action>/", place), b'{"text": "x"}', content_type="application/json")
    )
    assert snapshot(place.tenant) == before
