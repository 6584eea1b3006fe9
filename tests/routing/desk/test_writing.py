"""A ticket without a conversation: its customer is written to by e-mail or SMS, and what they answer comes back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from messaging.models import Message
from posthaste.lib.problems import Conflict, Invalid
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals
from routing.desk import writing
from routing.entrances import registry
from routing.entrances.email import threads
from routing.models import Agent, Conversation, Customer, Entrance, EntranceKind, IdentityKind, Line, Note, Ticket
from routing.processing import process
from tests.builders import TESTER
from tests.crowds import at_once
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_customer, make_entrance, make_identity
from tests.routing.tickets.builders import kinds_of, make_ticket
from tests.routing.tickets.test_pages import do, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = {"subject": "Your lamp [#1]", "text": "We have found the shade."}


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    return make_agent(tenant, make_group(tenant, at=timezone.now()), at=timezone.now(), name="Mei")


@pytest.fixture
def ada(tenant: Tenant) -> Customer:
    customer = make_customer(tenant, name="Ada", language="en")
    make_identity(customer, IdentityKind.EMAIL, value="ada@example.com")
    make_identity(customer, IdentityKind.PHONE, value="+8613812345678")
    return customer


@pytest.fixture
def mailbox(tenant: Tenant) -> Entrance:
    return make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "help@shop.example"})


def write(ticket: Ticket, agent: Agent, kind: IdentityKind = IdentityKind.EMAIL, **given: Any) -> Any:
    assert ticket.customer is not None
    identity = ticket.customer.identities.get(kind=kind)
    asked = {"subject": "Your lamp", "text": "We have found the shade.", "client_id": "one", **given}
    return writing.write_to_customer(ticket=ticket, agent=agent, identity_id=identity.pk, by=TESTER, now=timezone.now(), **asked)


@pytest.mark.both_stacks
def test_an_email_begins_the_conversation_of_the_ticket_and_its_answer_comes_back(
    tenant: Tenant, agent: Agent, ada: Customer, mailbox: Entrance
) -> None:
    ticket = make_ticket(tenant, customer=ada, at=timezone.now())
    message_id = write(ticket, agent)
    ticket.refresh_from_db()
    talk, message = Conversation.objects.get(), Message.objects.get()
    assert (ticket.conversation_id, ticket.status, ticket.agent_id) == (talk.pk, "in_progress", agent.pk)
    assert (talk.status, talk.agent_id, talk.entrance_id, Agent.objects.get(pk=agent.pk).load) == ("assigned", agent.pk, mailbox.pk, 1)
    assert (message.pk, message.channel, message.recipient, message.subject) == (message_id, "email", "ada@example.com", "Your lamp")
    assert message.metadata["mail"]["reply_to"] == "help@shop.example"
    assert "written" in kinds_of(ticket)
    assert AuditEntry.objects.filter(action="ticket.write").count() == 1

    answer = Incoming(
        external_id="answer",
        sender=SenderName(IdentityKind.EMAIL, "ada@example.com"),
        text="Wonderful!",
        thread="<another@example.com>",
        details={"references": [f"{message_id.hex}@shop.example"]},
    )
    placed = threads.placed(registry.row_of(mailbox), [answer])
    arrivals.store(mailbox.pk, placed, tenant_id=tenant.pk, now=timezone.now())
    process.process_arrivals()
    assert list(Line.objects.order_by("seq").values_list("conversation", "text")) == [
        (talk.pk, "We have found the shade."),
        (talk.pk, "Wonderful!"),
    ]


@pytest.mark.both_stacks
def test_two_at_once_begin_one_conversation_and_sent_again_it_is_the_same_message(
    tenant: Tenant, agent: Agent, ada: Customer, mailbox: Entrance
) -> None:
    ticket = make_ticket(tenant, customer=ada, at=timezone.now())
    looks: list[Callable[[], Any]] = [lambda: write(ticket, agent)] * 3
    assert len(set(at_once(*looks))) == 1
    assert (Conversation.objects.count(), Message.objects.count()) == (1, 1)
    ticket.refresh_from_db()
    with pytest.raises(Conflict, match="Answer there"):
        write(ticket, agent, client_id="another")


def test_an_sms_is_a_message_and_a_note_and_begins_nothing(tenant: Tenant, agent: Agent, ada: Customer) -> None:
    ticket = make_ticket(tenant, customer=ada, at=timezone.now())
    for _time in range(2):
        write(ticket, agent, IdentityKind.PHONE, subject="")
    message = Message.objects.get()
    assert (message.channel, message.recipient, message.body) == ("sms", "+8613812345678", "We have found the shade.")
    assert [note.text for note in Note.objects.all()] == ["SMS to +86 138****5678: We have found the shade."]
    assert (kinds_of(ticket).count("written"), Conversation.objects.exists()) == (1, False)
    shown = signed_in(agent.user).get(f"/desk/tickets/{ticket.number}/").content.decode()
    assert f"/admin/messaging/message/{message.pk}/change/" in shown, "the trace is one click away"
    with pytest.raises(Invalid):
        write(ticket, agent, IdentityKind.PHONE, text="x" * 501, client_id="long")


def test_where_no_one_can_be_written_to_the_page_says_why_and_what_to_do(tenant: Tenant, agent: Agent, ada: Customer) -> None:
    desk, page = signed_in(agent.user), "/desk/tickets/{}/".format
    assert "names no customer" in desk.get(page(make_ticket(tenant).number)).content.decode()
    ticket = make_ticket(tenant, customer=make_customer(tenant))
    assert "Add one to the customer first" in desk.get(page(ticket.number)).content.decode()
    make_identity(ticket.customer, IdentityKind.EMAIL, value="bob@example.com")
    assert "Add an entrance of the kind E-mail" in desk.get(page(ticket.number)).content.decode()
    with pytest.raises(writing.NoAddress, match="no mailbox"):
        write(ticket, agent)


def test_the_form_on_the_page_writes_and_keeps_what_was_typed_if_it_can_not(
    tenant: Tenant, agent: Agent, ada: Customer, mailbox: Entrance
) -> None:
    ticket, desk = make_ticket(tenant, customer=ada, at=timezone.now()), signed_in(agent.user)
    to = str(ada.identities.get(kind=IdentityKind.EMAIL).pk)
    Agent.objects.filter(pk=agent.pk).update(capacity=1, load=1)
    full = do(desk, ticket, "write", to=to, client_id="one", **TEXT)
    assert (full.status_code, "no room" in full.content.decode(), TEXT["text"] in full.content.decode()) == (409, True, True)
    Agent.objects.filter(pk=agent.pk).update(load=0)
    assert do(desk, ticket, "write", to=to, client_id="one", **TEXT).status_code == 302
    shown = desk.get(f"/desk/tickets/{ticket.number}/").content.decode()
    assert TEXT["text"] in shown
    assert f"/desk/c/{Conversation.objects.get().pk}/" in shown
    assert "ada@example.com" not in shown, "addresses are masked"
