"""Events of the desk on their way to a receiver that fails: the breaker, the end of an endpoint, and replays keep what they promise."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.configuration import circuit_breakers
from messaging.metrics import webhooks as metrics
from messaging.models import DeliveryStatus, WebhookDelivery
from messaging.providers import breakers as breaker_rules
from messaging.webhooks import deliveries, endpoints, replays
from posthaste.lib.breaker import breakers
from routing.assignment import holding
from routing.conversations import resolving
from routing.models import Conversation
from tests.builders import TESTER, configure
from tests.messaging.webhooks.hooks import again, later, make_endpoint, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver
from tests.routing.assignment.builders import make_agent, make_waiting
from tests.routing.tickets.builders import make_ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
DESK = ["conversation.*", "ticket.*"]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def live(tenant: Tenant) -> Conversation:
    """Let an agent take a conversation, give it to another one, who resolves it: three events."""
    now = timezone.now()
    row, first, second = make_waiting(tenant, at=now), make_agent(tenant, at=now), make_agent(tenant, at=now)
    holding.claim(conversation=row, agent=first, by=TESTER, now=now)
    holding.transfer(conversation=row, agent=second, by=TESTER, now=now)
    resolving.resolve(conversation=row, by=TESTER, now=now)
    return row


LIFE = ["conversation.assigned", "conversation.assigned", "conversation.resolved"]


def told(receiver: WebhookReceiver) -> dict[str, list[str]]:
    """Return the types of the events that were taken, by what they are about."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in receiver.events():
        found[event["data"]["id"]].append(event["type"])
    return found


def test_a_breaker_that_events_of_the_desk_opened_makes_them_wait_and_loses_none(tenant: Tenant, receiver: WebhookReceiver) -> None:
    configure(circuit_breakers, webhooks=circuit_breakers.value.webhooks.model_copy(update={"min_requests": 3}))
    hooked = [make_endpoint(tenant, receiver.url, event_types=DESK) for _number in range(3)]
    receiver.script(Answer(status=500), times=3)
    row, ticket = live(tenant), make_ticket(tenant)
    for endpoint in hooked:
        turn(endpoint)
    breakers.forget()
    name = breaker_rules.of_endpoints(f"127.0.0.1:{receiver.port}", tenant.pk)
    assert breaker_rules.phase(name) == "open"
    later(hooked[0], hours=1)
    turn(hooked[0])
    assert (len(receiver.deliveries), again(hooked[0]).state) == (3, "failing"), "nothing is sent to a host whose breaker is open"
    breakers.force(name, "closed", by="test")
    later(hooked[0], hours=1)
    while turn(hooked[0]):
        pass
    assert told(receiver) == {str(row.pk): LIFE, str(ticket.pk): ["ticket.opened"]}


def test_an_endpoint_that_takes_no_event_of_the_desk_for_three_days_is_disabled_with_a_notice_and_goes_on_where_it_was(
    tenant: Tenant, receiver: WebhookReceiver
) -> None:
    endpoint = make_endpoint(tenant, receiver.url, event_types=DESK)
    receiver.script(Answer(status=500), times=2)
    row = live(tenant)
    turn(endpoint)
    later(endpoint, hours=73)
    turn(endpoint)
    found = again(endpoint)
    assert (found.state, found.disabled_code, found.disabled_figures) == ("disabled", "failing", {"hours": "72", "error": "http_500"})
    assert AuditEntry.objects.get(action="webhook.disable").actor == "system:webhooks"
    assert metrics.webhook_disabled_endpoints()["failing"] == 1.0, "an alarm watches this, and the overview tells of it"
    ticket = make_ticket(tenant)
    endpoints.enable(endpoint=found, by=TESTER, now=timezone.now())
    while turn(endpoint):
        pass
    assert told(receiver) == {str(ticket.pk): ["ticket.opened"]}, "what was tried for a day was given up"
    chosen = replays.Range(first=1)
    replays.replay_range(endpoint=again(endpoint), chosen=chosen, statuses=replays.NOT_ARRIVED, by=TESTER, now=timezone.now())
    assert told(receiver) == {str(row.pk): LIFE, str(ticket.pk): ["ticket.opened"]}, "and is replayed from the log"


def test_what_is_replayed_from_the_log_keeps_the_order_of_each_conversation(tenant: Tenant, receiver: WebhookReceiver) -> None:
    endpoint = make_endpoint(tenant, receiver.url, event_types=DESK, max_events=2)
    rows = [live(tenant) for _number in range(3)]
    while turn(endpoint):
        pass
    first = told(receiver)
    assert first == {str(row.pk): LIFE for row in rows}
    sent = [event["id"] for event in receiver.events()]
    receiver.deliveries.clear()
    last = max(int(name.removeprefix("evt_")) for name in sent)
    chosen = replays.Range(first=1, last=last)
    made = replays.replay_range(endpoint=again(endpoint), chosen=chosen, statuses=tuple(DeliveryStatus), by=TESTER, now=timezone.now())
    assert (made.events, made.is_whole) == (9, True)
    assert [event["id"] for event in receiver.events()] == sent, "the same events under the same ids, so that doubles are seen"
    assert told(receiver) == first
    receiver.deliveries.clear()
    middle = WebhookDelivery.objects.filter(endpoint=endpoint, kind="events").order_by("at", "id")[1]
    deliveries.replay(endpoint=again(endpoint), delivery=middle, by=TESTER, now=timezone.now())
    assert [event["id"] for event in receiver.events()] == sent[2:4]
