"""What the pages' scripts ask and send: the desk's hours, articles, votes, ratings, forms, transcripts, links for another device."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from messaging.models import Message
from routing.configuration import service_levels
from routing.configuration.hours import OpenHours
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals, resolving
from routing.desk import states
from routing.entrances.portal import frames, sessions
from routing.models import (
    Arrival,
    Conversation,
    Entrance,
    EntranceKind,
    FaqEntry,
    Identity,
    IdentityKind,
    Line,
    PortalSession,
    Satisfaction,
    Ticket,
    TicketStatus,
    TicketType,
)
from routing.processing.process import process_arrivals
from tests.builders import TESTER, json_of, make_provider, make_tenant
from tests.routing.builders import make_entrance
from tests.routing.portal.builders import Visitor, make_article, make_form
from tests.routing.satisfaction.builders import make_answered

pytestmark = pytest.mark.django_db
VALUES = {"subject": "Money back", "description": "It is broken.", "fields.order": "A-1042", "fields.way": "Bank"}


@pytest.fixture
def entrance() -> Entrance:
    return make_entrance()


@pytest.fixture
def visitor(entrance: Entrance) -> Visitor:
    return Visitor(entrance).begin()


def resolved(visitor: Visitor) -> Any:
    conversation = make_answered(visitor.entrance, identity=visitor.session.identity)
    return resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())


def test_out_of_hours_a_page_learns_when_the_desk_opens(entrance: Entrance) -> None:
    now = timezone.now()
    tomorrow = (now + timedelta(days=1)).isoweekday()
    with service_levels.set(time_zone="UTC", hours=[OpenHours(day=tomorrow, start="09:00", end="18:00")]):
        found = json_of(Visitor(entrance).get("state/"))
        assert (found["open"], found["asks_email"], "rating" in found) == (False, True, False)
        assert found["opens_at"].startswith(f"{(now + timedelta(days=1)).date()}T09:00")
    with service_levels.set(hours=[OpenHours(day=day, start="00:00", end="00:00") for day in range(1, 8)]):
        assert json_of(Visitor(entrance).get("state/"))["open"] is True


def test_articles_are_suggested_in_both_languages_and_only_published_ones(entrance: Entrance) -> None:
    make_article(entrance.tenant, "late", "My parcel is late", phrasings=["Where is my order?"])
    make_article(entrance.tenant, "late", "包裹迟到了怎么办", language="zh", phrasings=["我的订单到哪里了"])
    make_article(entrance.tenant, "draft", "Where is my order draft", published={}, state="draft")
    make_article(entrance.tenant, "old", "Where is my old order", state="archived")
    make_article(make_tenant(), "theirs", "Where is my order?")
    found = json_of(Visitor(entrance).get("suggest/", q="where's my order"))["articles"]
    assert [(one["slug"], one["question"]) for one in found] == [("late", "My parcel is late")]
    chinese = json_of(Visitor(entrance).get("suggest/", q="订单还没到", lang="zh-hans"))["articles"]
    assert [one["question"] for one in chinese] == ["包裹迟到了怎么办"]
    assert json_of(Visitor(entrance).get("suggest/", q="?"))["articles"] == []


def test_whether_an_article_helped_is_counted_once_for_a_visitor(entrance: Entrance, visitor: Visitor) -> None:
    make_article(entrance.tenant, "late", "My parcel is late")
    votes = ((visitor, True), (visitor, False), (Visitor(entrance), False))
    answers = [json_of(who.post("vote/late/", {"helpful": good})) for who, good in votes]
    assert [answer["counted"] for answer in answers] == [True, False, True]
    entry = FaqEntry.objects.get()
    assert (entry.helpful, entry.unhelpful) == (1, 1)


def test_a_visitor_rates_their_own_conversation_in_the_chat(visitor: Visitor) -> None:
    conversation = resolved(visitor)
    assert json_of(visitor.get("state/"))["rating"] == {"conversation": str(conversation.pk), "score": None, "comment": "", "open": True}
    body = {"conversation": str(conversation.pk), "score": 5, "comment": "谢谢"}
    assert Visitor(visitor.entrance).begin().post("rating/", body).status_code == 404, "another visitor's"
    assert visitor.post("rating/", body | {"score": 6}).status_code == 422
    assert json_of(visitor.post("rating/", body))["score"] == 5
    assert Satisfaction.objects.get().comment == "谢谢"


def test_a_transcript_is_a_message_with_what_both_sides_wrote(visitor: Visitor) -> None:
    make_provider(visitor.entrance.tenant, channel="email")
    conversation = resolved(visitor)
    answer = visitor.post("transcript/", {"conversation": str(conversation.pk), "email": "Ada@Example.com"})
    assert (answer.status_code, json_of(answer)["email"]) == (202, "A***@example.com")
    message = Message.objects.get(channel="email")
    assert (message.recipient, message.reference, message.category) == ("Ada@example.com", str(conversation.pk), "portal")
    assert "Where is my order?" in message.body
    assert "It arrives today." in message.body
    for _more in range(4):
        visitor.post("transcript/", {"conversation": str(conversation.pk), "email": "ada@example.com"})
    refused = visitor.post("transcript/", {"conversation": str(conversation.pk), "email": "ada@example.com"})
    assert (refused.status_code, Message.objects.filter(channel="email").count()) == (429, 5)


def test_nothing_is_mailed_that_only_a_stranger_wrote_or_to_no_address(visitor: Visitor) -> None:
    make_provider(visitor.entrance.tenant, channel="email")
    conversation = resolved(visitor)
    assert visitor.post("transcript/", {"conversation": str(conversation.pk)}).status_code == 422
    conversation.lines.exclude(author="customer").delete()
    assert visitor.post("transcript/", {"conversation": str(conversation.pk), "email": "a@example.com"}).status_code == 409
    assert not Message.objects.exists()


def test_a_visitor_goes_on_on_another_device_once_and_by_a_post(visitor: Visitor) -> None:
    made = json_of(visitor.post("device/", {}))
    assert len(made["qr"]) == len(made["qr"][0])
    path, other = urlsplit(made["url"]).path, Client()
    assert other.get(path).status_code == 200
    assert PortalSession.objects.count() == 1, "a scanner signs no one in"
    page = other.post(path)
    assert page["Cache-Control"] == "no-store"
    token = page.content.decode().partition('data-token="')[2].partition('"')[0]
    session = sessions.find(visitor.entrance.pk, token, now=timezone.now())
    assert (session.identity_id, session.pk == visitor.session.pk) == (visitor.session.identity_id, False)
    assert other.post(path).status_code == 410, "good once"


def test_such_a_link_is_mailed_too(visitor: Visitor) -> None:
    make_provider(visitor.entrance.tenant, channel="email")
    assert visitor.post("device/", {"email": "ada@example.com"}).status_code == 202
    assert "/l/" in Message.objects.get(channel="email").body
    assert visitor.post("device/", {"email": "nonsense"}).status_code == 422


def test_a_filled_form_arrives_once_with_its_values(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    body = {"type": "refund", "client_id": "f1", "values": VALUES}
    answers = [visitor.post("tickets/", body, lang="zh-hans") for _twice in range(2)]
    assert [(answer.status_code, json_of(answer)["known"]) for answer in answers] == [(202, False), (202, True)]
    arrived = Arrival.objects.get().body
    assert arrived["details"]["ticket"] == {"type": "refund", "subject": "Money back", "fields": {"order": "A-1042", "way": "Bank"}}
    assert arrived["text"] == "[退款] Money back\n\n订单号: A-1042\nHow: 银行\n\nIt is broken."


def test_a_form_says_what_is_wrong_under_each_field(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    make_form(visitor.entrance.tenant, name="hidden", is_public=False)
    wrong = {"description": " ", "fields.way": "Cash"}
    answer = visitor.post("tickets/", {"type": "refund", "client_id": "f1", "values": wrong})
    assert {error["field"] for error in json_of(answer)["errors"]} == {"subject", "description", "fields.order", "fields.way"}
    assert visitor.post("tickets/", {"type": "hidden", "client_id": "f1", "values": VALUES}).status_code == 422
    assert not Arrival.objects.exists()


def test_what_a_form_takes_opens_a_ticket_and_what_a_ticket_refuses_is_refused_at_once(visitor: Visitor) -> None:
    kinds = ("text", "long_text", "number", "date", "yes_no", "order", "email", "phone")
    fields: Any = [{"key": kind, "kind": kind, "label": kind, "is_public": True} for kind in kinds]
    options = [{"value": "Bank"}, {"value": "Card"}]
    fields += [{"key": kind, "kind": kind, "label": kind, "is_public": True, "choices": options} for kind in ("choice", "choices")]
    make_form(visitor.entrance.tenant, fields=fields)
    right = {"number": "1.5", "date": "2024-02-29", "yes_no": False, "order": "A-1", "email": "a@example.com", "phone": "+49 30 123456"}
    right |= {"text": "x" * 300, "long_text": "y" * 5_000, "choice": "Bank", "choices": ["Card", "Bank"]}
    wrong: dict[str, list[Any]] = {
        "number": ["much", True, [1], "1e16"], "date": ["2025-02-29", "20250101", "9999-12-31", 5], "yes_no": ["yes", 1],
        "order": ["!", "A" * 61], "email": ["ada"], "phone": ["call me"], "text": ["x" * 301, 7, {"a": 1}], "long_text": ["y" * 5_001],
        "choice": ["Cash", ["Bank"]], "choices": ["Bank", ["Cash"], [["Bank"]]],
    }  # fmt: skip
    said = {"subject": "Money back", "description": "It is broken."}

    def send(client_id: str, values: dict[str, Any]) -> Any:
        body = {"type": "refund", "client_id": client_id, "values": said | {f"fields.{key}": value for key, value in values.items()}}
        return visitor.post("tickets/", body)

    for turn in range(4):
        values = {key: each[turn % len(each)] for key, each in wrong.items()}
        answer = send("wrong", values)
        assert {error["field"] for error in json_of(answer)["errors"]} == {f"fields.{key}" for key in values}, values
    assert send("right", right).status_code == 202
    process_arrivals()
    assert Ticket.objects.get().fields == right | {"number": 1.5}


def test_a_form_that_was_filled_in_becomes_a_ticket_of_its_conversation_once(visitor: Visitor) -> None:
    make_form(visitor.entrance.tenant)
    for _twice in range(2):
        visitor.post("tickets/", {"type": "refund", "client_id": "f1", "values": VALUES})
        process_arrivals()
    ticket = Ticket.objects.get()
    assert (ticket.subject, ticket.opened_by, ticket.fields) == ("Money back", "recipient", {"order": "A-1042", "way": "Bank"})
    assert ticket.conversation is not None
    assert ticket.conversation.lines.get().text == ticket.description


def test_a_form_whose_type_changed_meanwhile_stays_a_text_for_an_agent(visitor: Visitor) -> None:
    kind = make_form(visitor.entrance.tenant)
    visitor.post("tickets/", {"type": "refund", "client_id": "f1", "values": VALUES})
    TicketType.objects.filter(pk=kind.pk).update(is_public=False)
    process_arrivals()
    assert not Ticket.objects.exists()
    assert "Money back" in Line.objects.get().text


def test_a_visitor_sees_the_tickets_of_their_own_customer(visitor: Visitor) -> None:
    kind, now = make_form(visitor.entrance.tenant), timezone.now()
    for number, who in enumerate((visitor, Visitor(visitor.entrance).begin()), start=1):
        times = {"created_at": now, "changed_at": now}
        talk = make_answered(visitor.entrance, identity=who.session.identity)
        own = {"tenant": visitor.entrance.tenant, "customer_id": talk.customer_id, "conversation": talk, "type": kind}
        Ticket.objects.create(number=number, subject="Lamp", status=TicketStatus.WAITING, **own, **times)
    found = json_of(visitor.get("tickets/", lang="zh-hans"))["tickets"]
    assert [(one["number"], one["type"], one["status"]) for one in found] == [(1, "退款", "waiting")]
    assert Visitor(visitor.entrance).get("tickets/").status_code == 401


def test_a_visitor_is_not_told_that_something_is_spam(visitor: Visitor) -> None:
    conversation = make_answered(visitor.entrance, identity=visitor.session.identity)
    states.mark_as_spam(conversation=conversation, by=TESTER, now=timezone.now())
    assert frames.state_of(visitor.session, now=timezone.now())["status"] == "closed"
    own = {"tenant": visitor.entrance.tenant, "customer": conversation.customer, "conversation": conversation}
    times = {"created_at": timezone.now(), "changed_at": timezone.now()}
    Ticket.objects.create(number=1, subject="Lamp", status=TicketStatus.SPAM, type=make_form(visitor.entrance.tenant), **own, **times)
    (ticket,) = json_of(visitor.get("tickets/"))["tickets"]
    assert (ticket["status"], ticket["label"]) == ("closed", "Closed")


def test_who_types_anothers_address_sees_none_of_their_requests(visitor: Visitor) -> None:
    tenant, kind = visitor.entrance.tenant, make_form(visitor.entrance.tenant)
    visitor.post("email/", {"email": "ada@example.com"})
    mail = make_entrance(tenant, EntranceKind.EMAIL)
    sender = SenderName(IdentityKind.EMAIL, "ada@example.com")
    arrivals.store(mail.pk, [Incoming(external_id="m-1", sender=sender, text="Secret")], tenant_id=tenant.pk, now=timezone.now())
    process_arrivals()
    talk, now = Conversation.objects.get(entrance=mail), timezone.now()
    assert talk.customer_id == visitor.session.identity.customer_id
    Ticket.objects.create(
        tenant=tenant, number=1, subject="Secret", type=kind, customer=talk.customer, conversation=talk, created_at=now, changed_at=now
    )
    assert json_of(visitor.get("tickets/"))["tickets"] == []
    Identity.objects.update(verified_at=now)
    assert len(json_of(visitor.get("tickets/"))["tickets"]) == 1, "both are proved"


def test_an_address_that_a_visitor_types_proves_nothing(visitor: Visitor) -> None:
    assert visitor.post("email/", {"email": "ada@example.com"}).status_code == 200
    identity = Identity.objects.get(kind=IdentityKind.EMAIL)
    assert (identity.customer_id, identity.verified_at) == (visitor.session.identity.customer_id, None)
    assert json_of(visitor.get("state/"))["email"] == "", "transcripts go to proved addresses by themselves, not to this"
