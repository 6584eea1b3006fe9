"""Webhooks hear what happens in conversations: each thing once, in order, without texts, and at no cost where no one listens."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import WebhookDelivery
from messaging.webhooks import deliveries
from routing import event_types, events
from routing.assignment import holding
from routing.conversations import arrivals, correcting, hooks, replies, resolving
from routing.customers import merging, undoing
from routing.entrances.provision import ensure_reply_provider
from routing.models import Clock, ClockSignal, Conversation, Entrance, Intent, Satisfaction, Ticket, TicketType
from routing.processing import process
from tests.builders import TESTER, untraced
from tests.messaging.webhooks.hooks import later, make_endpoint, recorded, turn
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.conversations.builders import incoming

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

SECRET_TEXT = "My card 4111 1111 1111 1111 is lost"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


def write(entrance: Entrance, *texts: str, sender: str = "visitor-1") -> None:
    arrivals.store(entrance.pk, [incoming(text, sender=sender) for text in texts], tenant_id=entrance.tenant_id, now=timezone.now())
    process.process_arrivals()


def begin(tenant: Tenant) -> tuple[Entrance, Any]:
    """Make an entrance that can reply, and an agent who is there."""
    with untraced() as by:
        ensure_reply_provider(tenant_id=tenant.pk, by=by)
    group = make_group(tenant, at=timezone.now())
    return make_entrance(tenant), make_agent(tenant, group, at=timezone.now())


def live(entrance: Entrance, agent: Any) -> Conversation:
    """Let a conversation be asked, answered, corrected, resolved, and asked again."""
    write(entrance, SECRET_TEXT)
    row = Conversation.objects.get(entrance=entrance)
    replies.reply(conversation=row, author=replies.Author(agent), text="We block it at once.", by=TESTER, now=timezone.now())
    write(entrance, "Thank you", "You are quick")
    Intent.objects.create(tenant_id=row.tenant_id, name="card_lost", title="Lost card", created_at=timezone.now())
    correcting.correct_intent(conversation=row, intent="card_lost", by=TESTER, now=timezone.now())
    resolving.resolve(conversation=row, by=TESTER, now=timezone.now())
    write(entrance, "One more thing")
    return row


def test_a_conversation_tells_its_life_to_a_receiver_once_and_in_order(tenant: Tenant, receiver: WebhookReceiver) -> None:
    endpoint = make_endpoint(tenant, receiver.url, event_types=["conversation.*", "line.*"])
    row = live(*begin(tenant))
    while turn(endpoint):
        pass
    told = receiver.events()
    assert [event["type"] for event in told] == [
        "conversation.opened", "line.received", "conversation.queued", "conversation.assigned", "line.sent",
        "line.received", "line.received", "conversation.intent_corrected", "conversation.resolved",
        "conversation.reopened", "line.received", "conversation.queued", "conversation.assigned",
    ]  # fmt: skip
    assert len({event["id"] for event in told}) == len(told)
    assert {event["data"].get("conversation", event["data"]["id"]) for event in told} == {str(row.pk)}
    assert [event["data"]["seq"] for event in told if event["type"].startswith("line.")] == [1, 2, 3, 4, 5]
    assert "4111" not in str(receiver.deliveries)
    assert "visitor-1" not in str(receiver.deliveries)


def test_what_a_receiver_refused_comes_again_in_order_and_can_be_replayed(tenant: Tenant, receiver: WebhookReceiver) -> None:
    endpoint = make_endpoint(tenant, receiver.url, event_types=["line.received"], max_events=2)
    receiver.script(Answer(status=500))
    entrance, _agent = begin(tenant)
    write(entrance, "one")
    turn(endpoint)
    write(entrance, "two", "three")
    assert receiver.events() == []
    later(endpoint, hours=1)
    while turn(endpoint):
        pass
    assert [event["data"]["seq"] for event in receiver.events()] == [1, 2, 3]
    last = WebhookDelivery.objects.filter(endpoint=endpoint, status="delivered").order_by("-pk")[0]
    deliveries.replay(endpoint=endpoint, delivery=last, by=TESTER, now=timezone.now())
    assert receiver.events()[-1]["id"] in {event["id"] for event in receiver.events()[:3]}


def test_a_change_that_is_rolled_back_tells_nothing(tenant: Tenant, receiver: WebhookReceiver) -> None:
    make_endpoint(tenant, receiver.url)
    entrance, agent = begin(tenant)
    write(entrance, "Hello")
    number = len(recorded(tenant))
    row = Conversation.objects.get()
    with pytest.raises(holding.Taken):
        holding.claim(conversation=row, agent=make_agent(tenant, at=timezone.now()), by=TESTER, now=timezone.now())
    assert len(recorded(tenant)) == number
    assert agent.pk == row.agent_id


def test_many_conversations_are_told_of_with_a_few_statements_and_one_query_where_no_one_listens(
    tenant: Tenant, receiver: WebhookReceiver, django_assert_num_queries: Any
) -> None:
    entrance = make_entrance(tenant)
    rows = [make_conversation(make_identity(make_customer(tenant)), entrance, status="queued") for _ in range(20)]
    ids = [row.pk for row in rows]
    with django_assert_num_queries(1):
        events.conversations_moved(ids, now=timezone.now())
    with django_assert_num_queries(1):
        hooks.tell_written([], now=timezone.now())
        events.line_sent(rows[0], rows[0].lines.model(conversation=rows[0], tenant=tenant), now=timezone.now())
    make_endpoint(tenant, receiver.url)
    with django_assert_num_queries(5):  # the rows, who is recorded, the events with their transaction
        events.conversations_moved(ids, now=timezone.now())
    assert len(recorded(tenant)) == 20


def test_closing_merging_tickets_clocks_and_ratings_have_events_of_their_own(tenant: Tenant, receiver: WebhookReceiver) -> None:
    make_endpoint(tenant, receiver.url)
    now = timezone.now()
    row = make_conversation(make_identity(make_customer(tenant)), make_entrance(tenant), status="spam")
    hooks.tell_moved([row.pk], now=now)
    kept, merged = make_customer(tenant, name="Ada"), make_customer(tenant, name="Ada L.")
    done = merging.merge(kept_id=kept.pk, merged_id=merged.pk, tenant_id=tenant.pk, by=TESTER, now=now)
    undoing.undo(merge_id=done.pk, tenant_id=tenant.pk, by=TESTER, now=now)
    refund = TicketType.objects.create(tenant=tenant, name="refund", title="Refund", created_at=now)
    ticket = Ticket.objects.create(tenant=tenant, number=7, type=refund, subject="Refund for Ada", created_at=now, changed_at=now)
    events.ticket(event_types.TICKET_MOVED, ticket, now=now, previous_status="new")
    clock = Clock.objects.create(tenant=tenant, conversation=row, metric="first_response", target_minutes=15, started_at=now)
    signals = [
        ClockSignal.objects.create(clock=clock, kind=kind, due_at=now + timedelta(minutes=15), at=now) for kind in ("warning", "breach")
    ]
    events.clock(*signals, now=now)
    events.rated(Satisfaction.objects.create(tenant=tenant, conversation=row, resolved_at=now, score=4, asked_at=now), now=now)
    found = recorded(tenant)
    assert [event.type for event in found] == [
        "conversation.closed", "customer.merged", "customer.unmerged", "ticket.moved", "clock.warning", "clock.breached",
        "satisfaction.rated",
    ]  # fmt: skip
    assert [event.subject_id for event in found] == [row.pk, kept.pk, kept.pk, ticket.pk, row.pk, row.pk, row.pk]
    assert found[1].data == found[2].data == {"id": str(kept.pk), "merged": str(merged.pk), "merge": str(done.pk)}
    assert (found[3].data["number"], found[3].data["previous_status"], found[6].data["score"]) == (7, "new", 4)
    assert "Ada" not in str([event.data for event in found])
