"""The page of a ticket: what it shows and who sees it, answering, reopening, rating."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from routing.conversations import resolving
from routing.models import Arrival, Conversation, ConversationStatus, EntranceKind, Satisfaction, Ticket
from routing.processing.process import process_arrivals
from routing.tickets import merging, progress
from tests.builders import TESTER, json_of
from tests.routing.builders import make_conversation, make_entrance
from tests.routing.customers.builders import make_line
from tests.routing.portal.builders import Visitor, make_form
from tests.routing.satisfaction.builders import make_agent, make_answered, make_rating
from tests.routing.tickets.builders import make_ticket

pytestmark = pytest.mark.django_db


@pytest.fixture
def visitor() -> Visitor:
    return Visitor(make_entrance()).begin()


def sent(visitor: Visitor, number: int = 1, subject: str = "Money back", text: str = "It is broken.") -> Ticket:
    """Send a form, and return its ticket."""
    values = {"subject": subject, "description": text, "fields.order": "A-1042"}
    assert visitor.post("tickets/", {"type": "refund", "client_id": f"f{number}", "values": values}).status_code == 202
    process_arrivals()
    return Ticket.objects.get(number=number)


def shown(visitor: Visitor, number: int = 1) -> Any:
    return json_of(visitor.get(f"tickets/{number}/"))


def texts(visitor: Visitor, number: int = 1) -> list[tuple[str, str]]:
    return [(line["author"], line["text"].split("\n\n")[-1]) for line in shown(visitor, number)["lines"]]


def answer(visitor: Visitor, text: str, number: int = 1, client_id: str = "a1") -> Any:
    found = visitor.post(f"tickets/{number}/", {"client_id": client_id, "text": text})
    process_arrivals()
    return found


def test_a_visitor_sees_how_far_it_is_their_values_and_what_both_sides_wrote_about_this_ticket_only(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    first = sent(visitor)
    sent(visitor, 2, "Another", "The lamp is dark.")
    make_line(Conversation.objects.get(), "It is on its way.", author="agent")
    make_line(Conversation.objects.get(), "internal", author="system")
    Ticket.objects.filter(pk=first.pk).update(fields={**first.fields, "cost": 5})
    found = shown(visitor)
    assert (found["status"], found["type"], found["reply"]["kind"], found["rating"]) == ("new", "Refund", "answer", None)
    assert found["fields"] == [{"label": "Order number", "value": "A-1042"}], "what only agents fill in is not shown"
    assert texts(visitor) == [("customer", "It is broken."), ("agent", "It is on its way.")]
    assert texts(visitor, 2) == [("customer", "The lamp is dark."), ("agent", "It is on its way.")]


def test_anothers_ticket_is_not_there(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    sent(visitor)
    stranger = Visitor(visitor.entrance).begin()
    for path, body in (("tickets/1/", {"client_id": "a", "text": "x"}), ("tickets/1/rating/", {"score": 1})):
        assert stranger.post(path, body).status_code == 404
    assert [stranger.get(f"tickets/{number}/").status_code for number in (1, 2, 10**30)] == [404] * 3
    assert Arrival.objects.count() == 1


def test_an_answer_moves_the_ticket_that_it_is_about_once_and_no_other(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    first, second = sent(visitor), sent(visitor, 2)
    for ticket in (first, second):
        progress.wait(ticket=ticket, by=TESTER, now=timezone.now())
    assert json_of(answer(visitor, "Here is the photo."))["known"] is False
    assert json_of(answer(visitor, "Here is the photo."))["known"] is True
    assert [Ticket.objects.get(pk=one.pk).status for one in (first, second)] == ["queued", "waiting"]
    assert texts(visitor)[-1] == ("customer", "Here is the photo.")
    assert texts(visitor, 2)[-1] == ("customer", "It is broken."), "it is about the other one"
    assert [answer(visitor, text, client_id="a2").status_code for text in (" ", "x" * 4_001)] == [422, 422]


def test_a_resolved_ticket_is_reopened_within_the_window_and_takes_nothing_after_it(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    ticket = sent(visitor)
    progress.resolve(ticket=ticket, by=TESTER, now=timezone.now())
    assert shown(visitor)["reply"]["kind"] == "reopen"
    answer(visitor, "It still is.")
    assert Ticket.objects.get().status == "queued"
    progress.resolve(ticket=ticket, by=TESTER, now=timezone.now() - timedelta(days=90))
    assert shown(visitor)["reply"]["kind"] == "over"
    assert json_of(answer(visitor, "And now?", client_id="a2"))["code"] == "request_over"


def test_an_answer_goes_on_in_a_new_conversation_when_the_old_one_has_ended(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    sent(visitor)
    Conversation.objects.update(status=ConversationStatus.CLOSED, resolved_at=timezone.now() - timedelta(days=90))
    answer(visitor, "Any news?")
    _old, new = Conversation.objects.order_by("pk")
    assert Ticket.objects.get().conversation_id == new.pk
    make_line(new, "Yes.", author="agent")
    assert texts(visitor) == [("customer", "It is broken."), ("customer", "Any news?"), ("agent", "Yes.")]


def test_a_ticket_without_a_conversation_gets_one_from_the_visitors_answer(visitor: Visitor) -> None:
    ticket = make_ticket(visitor.entrance.tenant, customer=visitor.session.identity.customer)
    assert shown(visitor)["lines"] == []
    answer(visitor, "Hello?")
    assert Ticket.objects.get(pk=ticket.pk).conversation == Conversation.objects.get(entrance=visitor.entrance)
    assert texts(visitor) == [("customer", "Hello?")]


def test_what_is_talked_about_in_wecom_is_answered_there(visitor: Visitor) -> None:
    elsewhere = make_entrance(visitor.entrance.tenant, EntranceKind.WECOM_KF)
    make_ticket(visitor.entrance.tenant, conversation=make_conversation(visitor.session.identity, elsewhere))
    assert shown(visitor)["reply"]["kind"] == "elsewhere"
    assert json_of(answer(visitor, "Hello?"))["code"] == "answer_elsewhere"


def test_a_merged_ticket_of_another_customer_shows_how_far_it_is_and_nothing_else(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    ticket = sent(visitor)
    bob = Visitor(visitor.entrance).begin("Bob")
    target = sent(bob, 2, "Bob's", "My bill is wrong.")
    merging.merge(ticket=ticket, into=target, across_customers=True, by=TESTER, now=timezone.now())
    assert (texts(visitor), texts(bob, 2)) == ([("customer", "It is broken.")], [("customer", "My bill is wrong.")])
    assert (shown(visitor)["status"], [one["number"] for one in json_of(bob.get("tickets/"))["tickets"]]) == ("new", [2])
    assert (bob.get("tickets/1/").status_code, visitor.get("tickets/2/").status_code) == (404, 404)
    progress.wait(ticket=target, by=TESTER, now=timezone.now())
    answer(visitor, "Thank you.")
    assert Ticket.objects.get(pk=target.pk).status == "queued", "the one that goes on is told"
    assert texts(bob, 2) == [("customer", "My bill is wrong.")]


def test_a_resolved_ticket_is_rated_on_its_page_once_and_changed(visitor: Visitor) -> None:
    tenant, now = visitor.entrance.tenant, timezone.now()
    talk = make_answered(visitor.entrance, identity=visitor.session.identity, agent=make_agent(tenant, "Lin"))
    ticket = make_ticket(tenant, conversation=talk)
    assert (shown(visitor)["may_rate"], visitor.post("tickets/1/rating/", {"score": 5}).status_code) == (False, 404)
    progress.resolve(ticket=ticket, by=TESTER, now=now)
    assert shown(visitor)["may_rate"] is True
    assert visitor.post("tickets/1/rating/", {"score": 6}).status_code == 422
    assert not Satisfaction.objects.exists()
    for score in (2, 4):
        assert json_of(visitor.post("tickets/1/rating/", {"score": score, "comment": "Good"}))["score"] == score
    assert Satisfaction.objects.get().score == 4
    assert shown(visitor)["rating"]["score"] == 4
    assert json_of(visitor.get("state/"))["rating"] is None, "the chat goes on"


def test_the_rating_that_the_chat_asks_for_is_the_same_on_the_page_of_the_ticket(visitor: Visitor) -> None:
    talk = make_answered(visitor.entrance, identity=visitor.session.identity)
    ticket = make_ticket(visitor.entrance.tenant, conversation=talk)
    progress.resolve(ticket=ticket, by=TESTER, now=timezone.now())
    resolving.resolve(conversation=talk, by=TESTER, now=timezone.now())
    assert json_of(visitor.post("tickets/1/rating/", {"score": 3}))["score"] == 3
    assert json_of(visitor.get("state/"))["rating"]["score"] == 3


def test_a_ticket_is_rated_by_itself_if_its_conversation_ended_long_before(visitor: Visitor) -> None:
    talk, now = make_answered(visitor.entrance, identity=visitor.session.identity), timezone.now()
    before = now - timedelta(days=30)
    Conversation.objects.update(status=ConversationStatus.RESOLVED, resolved_at=before)
    make_rating(talk, score=1, resolved_at=before, asked_at=before, answered_at=before)
    progress.resolve(ticket=make_ticket(visitor.entrance.tenant, conversation=talk), by=TESTER, now=now)
    assert (shown(visitor)["rating"], shown(visitor)["may_rate"]) == (None, True)
    assert json_of(visitor.post("tickets/1/rating/", {"score": 5}))["score"] == 5
    assert list(Satisfaction.objects.order_by("score").values_list("score", flat=True)) == [1, 5]


def test_the_page_is_the_same_for_all_and_speaks_both_languages(visitor: Visitor) -> None:
    page = Visitor(visitor.entrance).get("requests/7/")
    assert (page.status_code, 'data-number="7"' in page.content.decode()) == (200, True)
    assert "我的工单" in visitor.get("requests/7/", lang="zh-hans").content.decode()
