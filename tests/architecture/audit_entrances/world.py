"""A tenant with one of everything, the entrances to it, and what an event is."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Tenant, User
from messaging.models import Message, Provider, Status
from posthaste.lib.ids import new_id
from tests.architecture.test_tenants import Owned, make_everything
from tests.builders import Api, make_api, make_message, make_tenant


@dataclass
class World:
    """A tenant with one of everything, and the entrances: pages, the API with a key, and commands."""

    own: Owned
    empty: Tenant
    unknown: Message
    free: Provider
    staff: Client
    api: Api
    lock: str

    def page(self, name: str, /, *args: Any, **sent: Any) -> None:
        self.post(reverse(name, args=args), **sent)

    def post(self, address: str, /, **sent: Any) -> None:
        answer = self.staff.post(address, sent)
        assert answer.status_code in (200, 302), (answer.status_code, answer.content[:2000])

    def call(self, method: str, path: str, body: Any = None) -> None:
        answer = self.api.request(method, f"/api/{path}", {} if body is None and method != "DELETE" else body)
        assert answer.status_code < 300, answer.content

    def config(self, *arguments: str) -> None:
        call_command("config", *arguments, stdout=StringIO())

    @property
    def item_path(self) -> str:
        return f"config/items/{self.own.item.namespace.slug}/{self.own.item.group}/{self.own.item.data_id}"

    @property
    def item_options(self) -> list[str]:
        item = self.own.item
        return [item.data_id, "--namespace", item.namespace.slug, "--group", item.group, "--tenant", self.own.tenant.slug]


def again(made: World) -> World:
    """Return a world of its own for one more test: the rows as they were made, and a superuser who has just signed in."""
    staff = Client()
    staff.force_login(User.objects.get(username="boss"))
    own, empty, unknown, free = copy.deepcopy((made.own, made.empty, made.unknown, made.free))
    return World(own, empty, unknown, free, staff, Api(made.api.key), f"test {new_id()}")


def make_world() -> World:
    """Make a tenant with one of everything, and a superuser."""
    own = make_everything("Acme")
    Tenant.objects.filter(pk=own.tenant.pk).update(is_operator=True)
    User.objects.create(username="boss", is_staff=True, is_superuser=True)
    free = Provider.objects.create(tenant=own.tenant, name="free", channel="sms", kind="sandbox")
    unknown = make_message(own.tenant, status=Status.UNKNOWN)
    return World(own, make_tenant("Empty"), unknown, free, Client(), make_api(own.tenant), "")


Way = Callable[[World], object]
USER, KEY, COMMAND = "user:boss", "key:", "command:"


@dataclass(frozen=True)
class Event:
    """What happens, on what, whose it is, what must be there before, and the ways it comes: (actor, way)."""

    action: str
    target: Callable[[World], Any]
    ways: tuple[tuple[str, Way], ...]
    tenant: Callable[[World], int | None] = lambda w: w.own.tenant.pk
    before: Way = lambda w: None


def nobodys(_w: World) -> None:
    """Return the tenant of what belongs to the installation."""
