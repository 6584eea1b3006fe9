"""Conversations and arrivals in the admin: masked, explained, and only of one's own tenants."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, User
from routing.conversations import lines, replies
from routing.conversations.replies import Author
from routing.entrances.provision import ensure_reply_provider
from routing.models import Agent, Arrival, ArrivalState, Assignment, AssignmentCause, AuthorKind, Conversation, EntranceKind, IdentityKind
from tests.builders import TESTER
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity

pytestmark = pytest.mark.django_db
ADDRESS = "ada.lovelace@example.com"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def conversation() -> Conversation:
    made = make_conversation(make_identity(make_customer(name="Ada"), IdentityKind.EMAIL, value=ADDRESS), intent="refund", confidence=0.91)
    ensure_reply_provider(tenant_id=made.tenant_id, by=TESTER)
    now = timezone.now()
    lines.append(made, author=AuthorKind.CUSTOMER, text="Where is <b>my</b> order?", now=now)
    replies.reply(conversation=made, author=Author(owner="key:x"), text="On its way.", by=TESTER, now=now)
    return made


def test_the_list_masks_the_identity_and_shows_the_intent(staff: Client, conversation: Conversation) -> None:
    page = staff.get(reverse("admin:routing_conversation_changelist")).content.decode()
    assert "a***@example.com" in page
    assert ADDRESS not in page
    assert "refund" in page


def test_a_conversation_shows_its_lines_their_traces_and_who_had_it(staff: Client, conversation: Conversation) -> None:
    agent = Agent.objects.create(tenant=conversation.tenant, user=User.objects.create_user("bo"), name="Bo", created_at=timezone.now())
    Assignment.objects.create(
        tenant=conversation.tenant, conversation=conversation, agent=agent, cause=AssignmentCause.CLAIM, started_at=timezone.now()
    )

    page = staff.get(reverse("admin:routing_conversation_change", args=[conversation.pk])).content.decode()

    assert "Where is &lt;b&gt;my&lt;/b&gt; order?" in page
    message_id = conversation.lines.get(seq=2).message_id
    assert reverse("admin:messaging_message_change", args=[message_id]) in page
    assert "Claimed" in page
    assert ADDRESS not in page


def test_the_page_of_a_wecom_customer_shows_how_many_replies_are_left(staff: Client) -> None:
    person = make_identity(make_customer(), IdentityKind.WECOM)
    asked = make_conversation(person, make_entrance(person.tenant, EntranceKind.WECOM_KF))
    address, now = reverse("admin:routing_conversation_change", args=[asked.pk]), timezone.now()
    assert "until the customer writes again" in staff.get(address).content.decode()
    lines.append(asked, author=AuthorKind.CUSTOMER, text="Hello", now=now)
    lines.append(asked, author=AuthorKind.AGENT, text="Hello", now=now)
    assert '<dt>Replies left</dt><dd class="figure">4 ' in staff.get(address).content.decode()


def test_staff_of_another_tenant_find_nothing(conversation: Conversation) -> None:
    client = Client()
    user = User.objects.create_user("eve", is_staff=True)
    client.force_login(user)
    assert client.get(reverse("admin:routing_conversation_change", args=[conversation.pk])).status_code in (302, 403, 404)


def test_failed_arrivals_are_processed_again_after_a_question(staff: Client) -> None:
    entrance, now = make_entrance(), timezone.now()
    rows = [
        Arrival.objects.create(
            tenant=entrance.tenant,
            entrance=entrance,
            external_id=f"m-{state}",
            sender=f"email:{ADDRESS}",
            body={},
            state=state,
            error="ValueError: no good",
            received_at=now,
        )
        for state in (ArrivalState.FAILED, ArrivalState.DONE)
    ]
    address = reverse("admin:routing_arrival_changelist")
    asked: dict[str, Any] = {"action": "retry", "_selected_action": [str(row.pk) for row in rows]}
    page = staff.get(address).content.decode()
    assert ADDRESS not in page
    question = staff.post(address, asked).content.decode()
    assert "Process these arrivals again?" in question
    assert Arrival.objects.filter(state=ArrivalState.FAILED).exists()

    staff.post(address, {**asked, "confirmed": "1"})

    assert set(Arrival.objects.values_list("state", flat=True)) == {ArrivalState.PENDING, ArrivalState.DONE}
    assert AuditEntry.objects.filter(action="arrival.retry").count() == 1
    assert staff.get(reverse("admin:routing_arrival_change", args=[rows[0].pk])).status_code == 200
