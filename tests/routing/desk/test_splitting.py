"""Some lines of a conversation become a ticket, and the conversation shows all of its tickets."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from accounts.models import Tenant
from routing.conversations import lines
from routing.models import AuthorKind, Conversation, Ticket
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import Desk, ask, hold, make_desk
from tests.routing.tickets.builders import make_ticket, make_type

pytestmark = pytest.mark.django_db


@pytest.fixture
def mei(tenant: Tenant) -> Desk:
    return make_desk(tenant, make_group(tenant, at=timezone.now()), name="Mei")


def talked(desk: Desk, tenant: Tenant) -> Conversation:
    """Make a conversation with two matters: an order, which was answered, and then an invoice."""
    conversation = hold(ask(tenant), desk.agent)
    desk.do(conversation, "reply", text="On its way.")
    conversation.refresh_from_db()
    lines.append(conversation, author=AuthorKind.CUSTOMER, text="And my  invoice?", now=timezone.now())
    return conversation


def new_ticket(conversation: Conversation, seqs: str, **more: str) -> str:
    return f"/desk/tickets/new/?{urlencode({'conversation': str(conversation.pk), 'lines': seqs, **more})}"


def value_of(page: Any, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]*?(?:value="([^"]*)"|>\s*([^<]*)<)', page.content.decode())
    assert found, name
    return found[1] or found[2] or ""


def test_the_lines_that_were_chosen_are_in_the_form_and_then_in_the_ticket(tenant: Tenant, mei: Desk) -> None:
    make_type(tenant, "refund")
    conversation = talked(mei, tenant)
    choice = mei.client.get(new_ticket(conversation, "1,3"))
    assert f"conversation={conversation.pk}&amp;lines=1%2C3" in choice.content.decode(), "the type is asked first, the lines are kept"
    address = new_ticket(conversation, "2,3", type="refund")
    page = mei.client.get(address)
    assert value_of(page, "subject") == "And my invoice?"
    assert value_of(page, "description").split() == ["Mei:", "On", "its", "way.", "Ada:", "And", "my", "invoice?"]
    assert mei.client.post(address, {"subject": "Invoice", "description": "Ada: And my invoice?", "priority": "normal"}).status_code == 302
    ticket = Ticket.objects.get()
    assert (ticket.conversation_id, ticket.customer_id, ticket.subject) == (conversation.pk, conversation.customer_id, "Invoice")
    conversation.refresh_from_db()
    assert (conversation.status, conversation.last_seq) == ("assigned", 3), "the conversation stays whole"


def test_lines_are_shown_only_to_those_who_may_read_them(tenant: Tenant, mei: Desk) -> None:
    make_type(tenant, "refund")
    conversation = hold(ask(tenant, make_group(tenant, "secret", at=timezone.now()), text="My card number"), None)
    page = mei.client.get(new_ticket(conversation, "1", type="refund"))
    assert (page.status_code, b"My card number" in page.content) == (404, False)
    assert mei.client.get(new_ticket(talked(mei, tenant), "99", type="refund")).status_code == 422


def test_a_conversation_shows_all_of_its_tickets_and_the_others_of_the_customer(tenant: Tenant, mei: Desk) -> None:
    conversation, kind = talked(mei, tenant), make_type(tenant)
    merged = hold(ask(tenant, customer=conversation.customer), mei.agent)
    for subject, talk in (("Order", merged), ("Invoice", conversation)):
        make_ticket(tenant, kind, subject=subject, conversation=talk, agent=mei.agent)
    mei.do(merged, "merge", into=str(conversation.pk))
    make_ticket(tenant, kind, subject="By telephone", customer=conversation.customer)
    shown = mei.read(f"c/{conversation.pk}/")
    assert [(one["subject"], one["agent"]) for one in shown["tickets"]] == [("Invoice", "Mei"), ("Order", "Mei")]
    assert [one["subject"] for one in shown["customer"]["tickets"]] == ["By telephone", "Invoice", "Order"]
