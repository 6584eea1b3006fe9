"""One event, one entry: whichever way a change comes, the audit trail keeps the same action, target and tenant, and who it was."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, Tenant, User
from configcenter.services import drafts, items, releases
from jobs.actions import Action as JobAction
from messaging.actions import Action as MessagingAction
from messaging.content import editing
from messaging.models import Message, Provider, Status
from messaging.suppression.suppressions import masked
from posthaste.lib import locks
from posthaste.lib.ids import new_id
from tests.architecture.test_tenants import Owned, make_everything
from tests.builders import RECIPIENTS, TESTER, Api, make_api, make_message, make_tenant
from tests.configcenter.forms import posted

pytestmark = pytest.mark.django_db
MODULE, FIELD = "queues", "queue_capacity"
WORDING = {"subject": "", "body": "Second {{ code }}", "html": "", "variables": [{"name": "code", "required": True, "example": "1"}]}
TYPED = {**WORDING, "variables": json.dumps(WORDING["variables"])}
PROVIDER = {"channel": "sms", "kind": "sandbox", "weight": "1"}


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
        answer = self.staff.post(reverse(name, args=args), sent)
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


@pytest.fixture
def world() -> World:
    own = make_everything("Acme")
    Tenant.objects.filter(pk=own.tenant.pk).update(is_operator=True)
    staff = Client()
    staff.force_login(User.objects.create(username="boss", is_staff=True, is_superuser=True))
    free = Provider.objects.create(tenant=own.tenant, name="free", channel="sms", kind="sandbox")
    unknown = make_message(own.tenant, status=Status.UNKNOWN)
    return World(own, make_tenant("Empty"), unknown, free, staff, make_api(own.tenant), f"test {new_id()}")


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


def message(verb: str, of: Callable[[World], Message], *, api: bool = True) -> Event:
    ways: list[tuple[str, Way]] = [(USER, lambda w: w.page("admin:messaging_message_do", of(w).pk, verb))]
    if api:
        ways.append((KEY, lambda w: w.call("POST", f"messages/{of(w).pk}/{verb}/")))
    return Event(f"message.{verb}", lambda w: of(w).pk, tuple(ways))


def batch(verb: str, name: str) -> Event:
    return Event(
        f"batch.{verb}",
        lambda w: getattr(w.own, name).pk,
        (
            (USER, lambda w: w.page("admin:messaging_batch_do", getattr(w.own, name).pk, verb)),
            (KEY, lambda w: w.call("POST", f"batches/{getattr(w.own, name).pk}/{verb}/")),
        ),
    )


def save_template_draft(w: World) -> None:
    editing.save_draft(template=w.own.template, wording=WORDING, by=TESTER)


def take_off(w: World) -> None:
    chosen = {ACTION_CHECKBOX_NAME: [str(w.own.suppression.pk)], "confirmed": "1", "number": "1"}
    w.page("admin:messaging_suppression_changelist", action="take_off", **chosen)


def template_id(w: World) -> int:
    return w.own.template.pk


def described(w: World) -> dict[str, Any]:
    first = w.own.template.versions.get()
    return {"subject": "", "body": first.body, "html": "", "variables": json.dumps(first.variables), "description": "mine"}


SUPPRESSED = "eve@example.com"
MESSAGING = [
    message("cancel", lambda w: w.own.pending),
    message("retry", lambda w: w.own.failed),
    message("settle_sent", lambda w: w.unknown, api=False),
    message("settle_failed", lambda w: w.unknown, api=False),
    Event("message.reveal", lambda w: w.own.pending.pk, ((USER, lambda w: w.page("admin:messaging_message_reveal", w.own.pending.pk)),)),
    batch("pause", "running"),
    batch("resume", "paused"),
    batch("cancel", "running"),
    Event(
        "suppression.add",
        lambda w: masked(SUPPRESSED, "email"),
        (
            (
                USER,
                lambda w: w.page(
                    "admin:messaging_suppression_add", tenant=w.own.tenant.pk, recipients=SUPPRESSED, channel="email", reason="manual"
                ),
            ),
            (KEY, lambda w: w.call("POST", "suppressions/", {"recipient": SUPPRESSED, "channel": "email"})),
            (KEY, lambda w: w.call("POST", "suppressions/bulk/", {"recipients": [SUPPRESSED], "channel": "email"})),
        ),
    ),
    Event(
        "suppression.remove",
        lambda w: masked(w.own.suppression.recipient, w.own.suppression.channel),
        ((USER, take_off), (KEY, lambda w: w.call("DELETE", f"suppressions/{w.own.suppression.pk}/"))),
    ),
    Event(
        "template.create",
        lambda w: "mine",
        (
            (USER, lambda w: w.page("admin:messaging_template_add", tenant=w.own.tenant.pk, name="mine", channel="sms", **TYPED)),
            (KEY, lambda w: w.call("POST", "templates/", {"name": "mine", "channel": "sms", **WORDING})),
        ),
    ),
    Event(
        "template.change",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_change", template_id(w), **described(w))),
            (KEY, lambda w: w.call("PATCH", f"templates/{w.own.template.name}/", {"description": "mine"})),
        ),
    ),
    Event(
        "template.draft",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_change", template_id(w), **TYPED)),
            (KEY, lambda w: w.call("PUT", f"templates/{w.own.template.name}/draft/", WORDING)),
        ),
    ),
    Event(
        "template.publish",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_publish", template_id(w))),
            (KEY, lambda w: w.call("POST", f"templates/{w.own.template.name}/publish/")),
        ),
        before=save_template_draft,
    ),
    Event(
        "provider.create",
        lambda w: Provider.objects.get(name="mine").pk,
        (
            (
                USER,
                lambda w: w.page("admin:messaging_provider_add", tenant=w.own.tenant.pk, name="mine", configuration="{}", **PROVIDER),
            ),
            (KEY, lambda w: w.call("POST", "providers/", {"name": "mine", "channel": "sms", "kind": "sandbox"})),
        ),
    ),
    Event(
        "provider.change",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_change", w.free.pk, name="other", configuration="{}", **PROVIDER)),
            (KEY, lambda w: w.call("PATCH", f"providers/{w.free.pk}/", {"name": "other"})),
        ),
    ),
    Event(
        "provider.delete",
        lambda w: w.free.pk,
        ((KEY, lambda w: w.call("DELETE", f"providers/{w.free.pk}/")),),
    ),
    Event(
        "provider.test",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_test", w.free.pk, recipient=RECIPIENTS["sms"], text="Hello")),
            (KEY, lambda w: w.call("POST", f"providers/{w.free.pk}/test/", {"recipient": RECIPIENTS["sms"]})),
        ),
    ),
    Event("provider.reveal_receipt_secret", lambda w: w.free.pk, ((USER, lambda w: w.page("admin:messaging_provider_secret", w.free.pk)),)),
    Event(
        "provider.new_receipt_secret",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_new_secret", w.free.pk)),
            (KEY, lambda w: w.call("POST", f"providers/{w.free.pk}/receipt-secret/")),
        ),
    ),
    Event(
        "breaker.force",
        lambda w: w.own.breaker,
        (
            (USER, lambda w: w.page("admin:messaging_provider_breaker", w.own.provider.pk, to="open")),
            (KEY, lambda w: w.call("POST", f"breakers/{w.own.breaker}/force/", {"state": "open"})),
        ),
    ),
]
ACCOUNTS = [
    Event(
        "key.issue",
        lambda w: ApiKey.objects.latest("pk").prefix,
        (
            (
                USER,
                lambda w: w.page("admin:accounts_apikey_add", tenant=w.own.tenant.pk, name="mine", kind="live", scopes=["messages:read"]),
            ),
            (KEY, lambda w: w.call("POST", "keys/", {"name": "mine", "scopes": ["messages:read"]})),
            (COMMAND, lambda w: call_command("create_tenant", "shop", stdout=StringIO())),
        ),
        tenant=lambda w: ApiKey.objects.latest("pk").tenant_id,
    ),
    Event(
        "key.revoke",
        lambda w: w.own.key.prefix,
        (
            (USER, lambda w: w.page("admin:accounts_apikey_revoke", w.own.key.pk)),
            (KEY, lambda w: w.call("POST", f"keys/{w.own.key.pk}/revoke/")),
        ),
    ),
    Event(
        "tenant.create",
        lambda w: "shop",
        (
            (USER, lambda w: w.page("admin:accounts_tenant_add", name="Shop", slug="shop", weight="1", is_active="on")),
            (COMMAND, lambda w: call_command("create_tenant", "shop", stdout=StringIO())),
        ),
        tenant=lambda w: Tenant.objects.get(slug="shop").pk,
    ),
    Event(
        "tenant.delete",
        lambda w: w.empty.slug,
        (
            (USER, lambda w: w.page("admin:accounts_tenant_delete", w.empty.pk, name=w.empty.slug)),
            (COMMAND, lambda w: call_command("delete_tenant", w.empty.slug, "--yes", stdout=StringIO())),
        ),
        tenant=lambda w: None,
    ),
]


def nobodys(_w: World) -> None:
    """Return the tenant of what belongs to the installation."""


def release_module(w: World, *, number: int = 1) -> None:
    for capacity in range(number):
        releases.publish(item=items.module_item(MODULE), content=json.dumps({FIELD: 20_000 + capacity}), comment="", by=TESTER)


def gray_module(w: World) -> None:
    item = items.module_item(MODULE)
    releases.start_gray(item=item, content=json.dumps({FIELD: 20_000}), comment="", labels=["zone=b"], percent=0, by=TESTER)


def draft_of_module(w: World) -> None:
    drafts.save_draft(item=items.module_item(MODULE), content=json.dumps({FIELD: 20_000}), based_on=0, now=timezone.now(), by=TESTER)


def edit_module(w: World) -> None:
    address = reverse("config:module-edit", args=[MODULE])
    w.page("config:module-edit", MODULE, **{**posted(w.staff.get(address).content.decode()), FIELD: "20000"})


M = f"config/modules/{MODULE}"


def gray_of_module(verb: str) -> Event:
    return Event(
        f"config.gray.{verb}",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-gray", MODULE, verb=verb)),
            (KEY, lambda w: w.call("POST", f"{M}/gray/{verb}/")),
            (COMMAND, lambda w: w.config("gray", verb, MODULE)),
        ),
        before=gray_module,
    )


SOME = {"labels": ["zone=b"], "percent": 0}
MODULES = [
    Event(
        "config.draft",
        lambda w: MODULE,
        (
            (USER, edit_module),
            (KEY, lambda w: w.call("PUT", f"{M}/draft/", {"content": {FIELD: 20_000}, "based_on": 0})),
            (COMMAND, lambda w: w.config("set", MODULE, f"{FIELD}=20000")),
        ),
    ),
    Event(
        "config.draft.discard",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-discard", MODULE)),
            (KEY, lambda w: w.call("DELETE", f"{M}/draft/")),
            (COMMAND, lambda w: w.config("discard", MODULE)),
        ),
        before=draft_of_module,
    ),
    Event(
        "config.publish",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-publish", MODULE, comment="now", based_on="1")),
            (KEY, lambda w: w.call("POST", f"{M}/publish/")),
            (COMMAND, lambda w: w.config("publish", MODULE)),
        ),
        before=draft_of_module,
    ),
    Event(
        "config.rollback",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-release", MODULE, 1, comment="back")),
            (KEY, lambda w: w.call("POST", f"{M}/rollback/", {"version": 1})),
            (COMMAND, lambda w: w.config("rollback", MODULE, "1")),
        ),
        before=lambda w: release_module(w, number=2),
    ),
    Event(
        "config.remove",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-remove", MODULE, name=MODULE)),
            (KEY, lambda w: w.call("DELETE", f"{M}/")),
        ),
        before=release_module,
    ),
    Event(
        "config.gray.start",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-publish", MODULE, comment="now", based_on="1", reach="some", labels="zone=b")),
            (KEY, lambda w: w.call("POST", f"{M}/gray/", SOME)),
            (COMMAND, lambda w: w.config("gray", "begin", MODULE, "--label", "zone=b")),
        ),
        before=draft_of_module,
    ),
    Event(
        "config.gray.widen",
        lambda w: MODULE,
        (
            (USER, lambda w: w.page("config:module-gray", MODULE, verb="widen", labels="zone=b", percent="50")),
            (KEY, lambda w: w.call("PUT", f"{M}/gray/", {**SOME, "percent": 50})),
            (COMMAND, lambda w: w.config("gray", "widen", MODULE, "--percent", "50")),
        ),
        before=gray_module,
    ),
    *(gray_of_module(verb) for verb in ("promote", "abandon")),
]
MODULES = [Event(one.action, one.target, one.ways, nobodys, one.before) for one in MODULES]


def name_of(w: World) -> str:
    return items.name_of(w.own.item)


def draft_of_item(w: World) -> None:
    drafts.save_draft(item=w.own.item, content="of: third", based_on=w.own.item.draft_version, now=timezone.now(), by=TESTER)


def gray_item(w: World) -> None:
    releases.start_gray(item=w.own.item, content="of: some", comment="", labels=["zone=b"], percent=0, by=TESTER)


def version(w: World) -> int:
    w.own.item.refresh_from_db()
    return w.own.item.draft_version


def edit_item(w: World) -> None:
    w.page("config:item-edit", w.own.item.pk, content="of: third", based_on=version(w), release=2, began="of: A still")


def new_item(w: World) -> None:
    w.page("config:item-new", namespace=w.own.item.namespace.pk, group="new", data_id="new.yaml", format="yaml")


def by_file(w: World, *arguments: str) -> None:
    """Run a command of an item on a text from the standard input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("configcenter.management.items.content_of", lambda _file: "of: third")
        w.config("item", *arguments)


def as_item(w: World, verb: str, *more: str) -> None:
    name, *options = w.item_options
    w.config("item", *verb.split(), name, *more, *options)


def gray_of_item(verb: str) -> Event:
    return Event(
        f"config.gray.{verb}",
        name_of,
        (
            (USER, lambda w: w.page("config:item-gray", w.own.item.pk, verb=verb)),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/gray/{verb}/")),
            (COMMAND, lambda w: as_item(w, f"gray {verb}")),
        ),
        before=gray_item,
    )


ITEMS = [
    Event(
        "config.create",
        lambda w: f"{w.own.item.namespace.slug}/new/new.yaml",
        (
            (USER, new_item),
            (
                KEY,
                lambda w: w.call("POST", "config/items/", {"namespace": w.own.item.namespace.slug, "group": "new", "data_id": "new.yaml"}),
            ),
        ),
    ),
    Event(
        "config.change",
        name_of,
        (
            (USER, lambda w: w.page("config:item-about", w.own.item.pk, format="yaml", description="mine")),
            (KEY, lambda w: w.call("PATCH", f"{w.item_path}/", {"description": "mine"})),
            (COMMAND, lambda w: as_item(w, "set", "--description", "mine")),
        ),
    ),
    Event(
        "config.draft",
        name_of,
        (
            (USER, edit_item),
            (KEY, lambda w: w.call("PUT", f"{w.item_path}/draft/", {"content": "of: third", "based_on": version(w)})),
            (COMMAND, lambda w: by_file(w, "set", w.item_options[0], "FILE", *w.item_options[1:])),
        ),
    ),
    Event(
        "config.draft.discard",
        name_of,
        (
            (USER, lambda w: w.page("config:item-discard", w.own.item.pk)),
            (KEY, lambda w: w.call("DELETE", f"{w.item_path}/draft/")),
            (COMMAND, lambda w: as_item(w, "discard")),
        ),
        before=draft_of_item,
    ),
    Event(
        "config.publish",
        name_of,
        (
            (USER, lambda w: w.page("config:item-publish", w.own.item.pk, comment="now", based_on=version(w))),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/publish/")),
            (COMMAND, lambda w: as_item(w, "publish")),
        ),
        before=draft_of_item,
    ),
    Event(
        "config.rollback",
        name_of,
        (
            (USER, lambda w: w.page("config:item-release", w.own.item.pk, 1, comment="back")),
            (KEY, lambda w: w.call("POST", f"{w.item_path}/rollback/", {"version": 1})),
            (COMMAND, lambda w: as_item(w, "rollback", "1")),
        ),
    ),
    Event(
        "config.remove",
        name_of,
        (
            (USER, lambda w: w.page("config:item-remove", w.own.item.pk, name=w.own.item.data_id)),
            (KEY, lambda w: w.call("DELETE", f"{w.item_path}/")),
            (COMMAND, lambda w: as_item(w, "delete")),
        ),
    ),
    *(gray_of_item(verb) for verb in ("promote", "abandon")),
    Event(
        "config.namespace.create",
        lambda w: "drawer",
        (
            (USER, lambda w: w.page("config:namespaces", tenant=w.own.tenant.pk, slug="drawer")),
            (KEY, lambda w: w.call("POST", "config/namespaces/", {"namespace": "drawer"})),
            (COMMAND, lambda w: w.config("namespace", "create", "drawer", "--tenant", w.own.tenant.slug)),
        ),
    ),
    Event(
        "config.namespace.delete",
        lambda w: w.own.empty_drawer,
        (
            (
                USER,
                lambda w: w.page("config:namespaces", delete=items.find_namespace(tenant=w.own.tenant, slug=w.own.empty_drawer).pk),
            ),
            (KEY, lambda w: w.call("DELETE", f"config/namespaces/{w.own.empty_drawer}/")),
            (COMMAND, lambda w: w.config("namespace", "delete", w.own.empty_drawer, "--tenant", w.own.tenant.slug)),
        ),
    ),
]


def freed(way: Way) -> Way:
    def perform(w: World) -> None:
        with suppress(locks.LockLost), locks.simple(w.lock):
            way(w)

    return perform


LOCKS = [
    Event(
        "lock.force_release",
        lambda w: w.lock,
        (
            (USER, freed(lambda w: w.page("config-locks", lock=w.lock, name=w.lock))),
            (KEY, freed(lambda w: w.call("POST", "locks/release/", {"name": w.lock}))),
        ),
        tenant=nobodys,
    ),
]
EVENTS = [*MESSAGING, *ACCOUNTS, *MODULES, *ITEMS, *LOCKS]


@pytest.mark.parametrize(
    ("event", "who", "way"),
    [
        pytest.param(one, who, way, id=f"{one.action}-{who.rstrip(':')}-{number}-{index}")
        for index, one in enumerate(EVENTS)
        for number, (who, way) in enumerate(one.ways)
    ],
)
def test_an_event_leaves_the_same_entry_whichever_way_it_comes(event: Event, who: str, way: Way, world: World) -> None:
    event.before(world)
    AuditEntry.objects.all().delete()
    target, tenant_id = None, None
    with suppress(ApiKey.DoesNotExist, Tenant.DoesNotExist, Provider.DoesNotExist):  # a row that the event itself makes
        target = event.target(world)
    way(world)
    with suppress(Provider.DoesNotExist):
        target = event.target(world) or target
    tenant_id = event.tenant(world)
    entries = AuditEntry.objects.filter(action=event.action)
    assert [(entry.target, entry.tenant_id) for entry in entries] == [(str(target), tenant_id)], [*AuditEntry.objects.values()]
    assert entries[0].actor.startswith(who)


def test_every_action_of_messages_and_locks_is_tried_here() -> None:
    elsewhere = {"suppression.unsubscribe", "suppression.undo"}  # by the recipient alone
    jobs = {action for action in JobAction if action.startswith("job.")}  # in the admin alone
    tried = {event.action for event in EVENTS}
    assert sorted({*MessagingAction, *JobAction} - tried - elsewhere - jobs) == []
