"""Answering the customer of a ticket over the API."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Message
from routing.models import (
    Agent,
    Attachment,
    Conversation,
    Customer,
    Draft,
    Entrance,
    EntranceKind,
    IdentityKind,
    Line,
    Note,
    Notice,
    Ticket,
)
from routing.scopes import CONVERSATIONS_WRITE, TICKETS_READ, TICKETS_WRITE
from tests.builders import Api, fields_of, json_of, make_api, make_tenant
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.conversations.builders import make_asked
from tests.routing.tickets.builders import make_ticket

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
TEXT = {"text": "We have found the shade."}


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    return make_agent(tenant, make_group(tenant, at=timezone.now()), at=timezone.now(), name="Mei")


@pytest.fixture
def ada(tenant: Tenant) -> Customer:
    customer = make_customer(tenant, name="Ada", language="en")
    make_identity(customer, IdentityKind.EMAIL, value="ada@example.com")
    return customer


@pytest.fixture
def mailbox(tenant: Tenant) -> Entrance:
    return make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "help@shop.example"})


def here(ticket: Ticket, part: str = "replies") -> str:
    return f"/api/tickets/{ticket.pk}/{part}/"


def test_a_ticket_with_a_conversation_is_answered_there_once_for_a_key(api: Api, tenant: Tenant, agent: Agent) -> None:
    talk = make_asked(tenant)
    ticket, body = make_ticket(tenant, conversation=talk), {**TEXT, "agent": agent.user.username, "seen_seq": 1}
    Draft.objects.create(agent=agent, conversation=talk, text="We have", changed_at=timezone.now())
    Notice.objects.create(agent=agent, kind="reply", conversation=talk, about="l-1", at=timezone.now())
    ways = json_of(api.get(here(ticket)))
    assert (ways["conversation"], ways["replies_to"]["id"], ways["addresses"]) == (str(talk.pk), str(talk.identity_id), [])
    answers = [api.post(here(ticket), body, headers={"Idempotency-Key": "a7"}) for _ in "ab"]
    assert [(answer.status_code, answer.get("Idempotent-Replayed")) for answer in answers] == [(201, None), (201, "true")]
    made, again = map(json_of, answers)
    line = Line.objects.get(author="agent")
    assert made == again == {
        "message_id": str(line.message_id), "trace_id": line.message_id.hex if line.message_id else "",
        "conversation": str(talk.pk), "line": str(line.pk),
    }  # fmt: skip
    assert (Draft.objects.exists(), Notice.objects.filter(read_at=None).exists()) == (False, False), "the agent has answered"
    assert json_of(api.get(f"/api/messages/{made['message_id']}/trace/"))["trace_id"] == made["trace_id"]
    assert json_of(api.get(f"/api/tickets/{ticket.pk}/"))["status"] == "in_progress"
    assert json_of(api.post(here(ticket), {**TEXT, "seen_seq": 1}))["code"] == "answered_meanwhile"
    assert api.post(here(ticket), TEXT).status_code == 201
    assert Line.objects.latest("seq").author == "bot"
    assert fields_of(api.post(here(ticket), {**TEXT, "subject": "Lamp"})) == ["subject"]
    assert fields_of(api.post(here(ticket), {"text": " "})) == ["text"]


def test_in_a_conversation_that_was_merged_the_answer_goes_where_it_says(api: Api, tenant: Tenant, ada: Customer) -> None:
    kept = make_asked(tenant)
    ticket = make_ticket(tenant, conversation=make_conversation(ada.identities.get(), status="closed", merged_into=kept))
    ways = json_of(api.get(here(ticket)))
    assert (ways["conversation"], ways["replies_to"]["id"]) == (str(kept.pk), str(kept.identity_id))
    assert json_of(api.post(here(ticket), TEXT))["conversation"] == str(kept.pk)


def test_without_a_conversation_an_email_begins_it_with_its_files(
    api: Api, tenant: Tenant, agent: Agent, ada: Customer, mailbox: Entrance
) -> None:
    ticket, body = make_ticket(tenant, customer=ada, subject="Lamp"), {**TEXT, "agent": str(agent.pk)}
    assert fields_of(api.post(here(ticket), TEXT)) == ["agent"]
    headers = {"Authorization": f"Bearer {api.key}"}
    file = json_of(api.client.post("/api/attachments/", {"file": SimpleUploadedFile("plan.txt", b"hi")}, headers=headers))["id"]
    made = json_of(api.post(here(ticket), {**body, "files": [file]}, headers={"Idempotency-Key": "one"}))
    again = json_of(api.post(here(ticket), {**body, "files": [file]}, headers={"Idempotency-Key": "one"}))
    message, talk = Message.objects.get(), Conversation.objects.get()
    assert (made, made["conversation"], made["message_id"]) == (again, str(talk.pk), str(message.pk))
    assert (message.recipient, message.subject) == ("ada@example.com", f"Lamp [#{ticket.number}]")
    assert str(Attachment.objects.get().line_id) == made["line"]
    assert json_of(api.get(here(ticket)))["conversation"] == str(talk.pk)


def test_of_several_addresses_one_is_named_and_an_sms_carries_no_files(
    api: Api, tenant: Tenant, agent: Agent, ada: Customer, mailbox: Entrance
) -> None:
    phone = make_identity(ada, IdentityKind.PHONE, value="+8613812345678")
    ticket, body = make_ticket(tenant, customer=ada), {**TEXT, "agent": str(agent.pk), "client_id": "s1"}
    ways = json_of(api.get(here(ticket)))["addresses"]
    assert [(way["kind"], way["value"]) for way in ways] == [("email", "a***@example.com"), ("phone", "+86 138****5678")]
    assert fields_of(api.post(here(ticket), body)) == ["to"]
    assert fields_of(api.post(here(ticket), {**body, "to": str(phone.pk), "files": [str(phone.pk)]})) == ["files"]
    made = [json_of(api.post(here(ticket), {**body, "to": str(phone.pk)})) for _ in "ab"]
    assert (made[0], made[0]["conversation"]) == (made[1], None)
    assert (Message.objects.get().channel, Note.objects.count()) == ("sms", 1)


def test_what_keeps_a_customer_from_being_answered_is_told(api: Api, tenant: Tenant, agent: Agent) -> None:
    over, lonely = make_ticket(tenant, conversation=make_asked(tenant), status="closed"), make_ticket(tenant)
    assert json_of(api.post(here(over), TEXT))["code"] == "ticket_over"
    assert "names no customer" in json_of(api.get(here(lonely)))["reason"]
    assert json_of(api.post(here(lonely), {**TEXT, "agent": str(agent.pk)}))["code"] == "no_address"
    Agent.objects.filter(pk=agent.pk).update(is_active=False)
    assert fields_of(api.post(here(lonely), {**TEXT, "agent": str(agent.pk)})) == ["agent"]


def test_only_a_key_that_may_reply_in_conversations_answers_and_only_its_own_tickets(tenant: Tenant) -> None:
    ticket = make_ticket(tenant, conversation=make_asked(tenant))
    calls: dict[str, Any] = {"writes tickets": make_api(tenant, TICKETS_READ, TICKETS_WRITE), "elsewhere": make_api(make_tenant("Other"))}
    assert [calls[name].post(here(ticket), TEXT).status_code for name in calls] == [403, 404]
    assert make_api(tenant, CONVERSATIONS_WRITE).post(here(ticket), TEXT).status_code == 201
