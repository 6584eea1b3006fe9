"""One event, one entry: whichever way a change comes, the audit trail keeps the same action, target and tenant, and who it was."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from pytest_django import DjangoDbBlocker

from accounts.models import ApiKey, AuditEntry, Tenant
from configcenter.actions import Action as ConfigAction
from jobs.actions import Action as JobAction
from messaging.actions import Action as MessagingAction
from messaging.models import Provider, WebhookEndpoint
from tests.architecture.audit_entrances.accounts import ACCOUNTS
from tests.architecture.audit_entrances.items import ITEMS
from tests.architecture.audit_entrances.jobs import JOBS
from tests.architecture.audit_entrances.locks import LOCKS
from tests.architecture.audit_entrances.messaging import MESSAGING
from tests.architecture.audit_entrances.modules import MODULES, OVERRIDES
from tests.architecture.audit_entrances.processes import PROCESSES
from tests.architecture.audit_entrances.world import Event, Way, World, again, make_world
from tests.kept import kept

pytestmark = pytest.mark.django_db
EVENTS = [*MESSAGING, *ACCOUNTS, *MODULES, *OVERRIDES, *ITEMS, *JOBS, *LOCKS, *PROCESSES]


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    yield from kept(django_db_blocker, make_world)


@pytest.fixture
def world(made: World) -> World:
    return again(made)


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
    with suppress(
        ApiKey.DoesNotExist, Tenant.DoesNotExist, Provider.DoesNotExist, WebhookEndpoint.DoesNotExist
    ):  # a row that the event itself makes
        target = event.target(world)
    way(world)
    with suppress(Provider.DoesNotExist, WebhookEndpoint.DoesNotExist):
        target = event.target(world) or target
    tenant_id = event.tenant(world)
    entries = AuditEntry.objects.filter(action=event.action)
    assert [(entry.target, entry.tenant_id) for entry in entries] == [(str(target), tenant_id)], [*AuditEntry.objects.values()]
    assert entries[0].actor.startswith(who)


def test_every_action_of_messages_configuration_and_locks_is_tried_here() -> None:
    elsewhere = {"suppression.unsubscribe", "suppression.undo"}  # by the recipient alone
    tried = {event.action for event in EVENTS}
    assert sorted({*MessagingAction, *ConfigAction, *JobAction} - tried - elsewhere) == []
