"""Who typed another's address sees and changes nothing of theirs; who proved it does."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from messaging.models import Message
from posthaste.lib.problems import Conflict, Invalid
from routing.contract import SenderName
from routing.customers import editing, identities, merging, undoing
from routing.customers.editing import NewIdentity
from routing.desk import writing
from routing.entrances.portal import sessions
from routing.entrances.portal.signing import Visitor as Signed
from routing.links import making
from routing.models import (
    Conversation,
    Customer,
    CustomerMerge,
    Entrance,
    EntranceKind,
    Identity,
    IdentityKind,
    LinkPurpose,
    SafeLink,
    Ticket,
    TicketEvent,
)
from routing.processing.process import process_arrivals
from routing.tickets import opening, progress
from tests.builders import TESTER, json_of, make_provider
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_conversation, make_customer, make_entrance
from tests.routing.portal.builders import Visitor
from tests.routing.tickets.builders import make_ticket, make_type

pytestmark = pytest.mark.django_db
ADA = "ada@example.com"


@pytest.fixture
def entrance() -> Entrance:
    return make_entrance()


@pytest.fixture
def claimer(entrance: Entrance) -> Visitor:
    """Return a visitor who has typed Ada's address."""
    found = Visitor(entrance).begin("Mallory")
    assert found.post("email/", {"email": ADA}).status_code == 200
    return found


def signed(entrance: Entrance, own_id: str, email: str = "") -> Visitor:
    """Return a visitor that the host site has signed."""
    also = (SenderName(IdentityKind.EMAIL, email, verified=True),) if email else ()
    found = Visitor(entrance)
    visitor = Signed(SenderName(IdentityKind.OWN, own_id, verified=True), also, "en", {})
    found.session, found.token = sessions.begin(entrance, visitor, language="en", now=timezone.now())
    return found


def seen(visitor: Visitor) -> list[str]:
    return [one["subject"] for one in json_of(visitor.get("tickets/"))["tickets"]]


def opened_mail(visitor: Visitor, address: str = ADA) -> Visitor:
    """Send a visitor's link to an address and open it there."""
    make_provider(visitor.entrance.tenant, channel="email")
    assert visitor.post("device/", {"email": address}).status_code == 202
    url = next(part for part in Message.objects.get(channel="email").body.split() if "/l/" in part)
    page = Client().post(urlsplit(url).path).content.decode()
    return Visitor(visitor.entrance, token=page.partition('data-token="')[2].partition('"')[0])


def the_address() -> Identity:
    return Identity.objects.select_related("customer").get(kind=IdentityKind.EMAIL, value=ADA)


def test_a_ticket_without_a_conversation_is_not_shown_to_who_only_typed_the_address(claimer: Visitor) -> None:
    make_ticket(claimer.entrance.tenant, customer=the_address().customer, subject="Ada's bill")
    assert seen(claimer) == []


def test_a_ticket_from_before_the_address_was_typed_stays_the_visitors(entrance: Entrance) -> None:
    visitor = Visitor(entrance).begin()
    make_ticket(entrance.tenant, customer=visitor.session.identity.customer, subject="My lamp")
    visitor.post("email/", {"email": ADA})
    assert seen(visitor) == ["My lamp"]


def test_the_link_that_was_mailed_proves_the_address_to_the_session_that_it_begins_and_to_no_other(claimer: Visitor) -> None:
    make_ticket(claimer.entrance.tenant, customer=the_address().customer, subject="Ada's bill")
    mailbox = make_entrance(claimer.entrance.tenant, EntranceKind.EMAIL)
    talk = make_conversation(the_address(), mailbox)
    make_ticket(claimer.entrance.tenant, conversation=talk, subject="By mail")
    reader = opened_mail(claimer)
    assert sorted(seen(reader)) == ["Ada's bill", "By mail"]
    assert json_of(reader.get("state/"))["email"] == "a***@example.com"
    assert (seen(claimer), json_of(claimer.get("state/"))["email"]) == ([], ""), "a stranger may have asked for the link"
    assert the_address().verified_at is None
    assert ADA not in str(SafeLink.objects.get().data), "the API lists links"


def test_a_signed_visitor_who_types_an_address_does_not_see_what_is_addressed_to_it(entrance: Entrance) -> None:
    visitor = signed(entrance, "4711")
    visitor.post("email/", {"email": ADA})
    make_ticket(entrance.tenant, customer=visitor.session.identity.customer, subject="Ada's bill")
    assert seen(visitor) == []
    assert json_of(visitor.get("state/"))["email"] == ""


def test_who_proves_an_address_has_it_and_who_typed_it_keeps_their_own(claimer: Visitor) -> None:
    entrance = claimer.entrance
    own = make_conversation(claimer.session.identity, entrance)
    theirs = make_conversation(the_address(), make_entrance(entrance.tenant, EntranceKind.EMAIL))
    for talk, subject in ((own, "Mallory's"), (theirs, "Ada's")):
        make_ticket(entrance.tenant, conversation=talk, subject=subject)
    told = make_ticket(entrance.tenant, customer=the_address().customer, subject="By telephone")
    ada = signed(entrance, "4711", ADA)
    address = the_address()
    assert (address.customer_id, address.verified_at is None) == (ada.session.identity.customer_id, False)
    assert (seen(claimer), seen(ada)) == (["Mallory's"], ["Ada's"]), "for whom the one by telephone was, only staff can say"
    opening.follow_up(ticket=progress.resolve(ticket=told, by=TESTER, now=timezone.now()), by=TESTER, now=timezone.now())
    assert seen(claimer) == ["Mallory's"], "a follow-up is for the same"
    assert set(Conversation.objects.filter(customer=address.customer)) == {theirs}
    lost, won = AuditEntry.objects.filter(action="customer.change").order_by("pk")
    assert (lost.actor, lost.target, lost.detail["to"]) == ("system:identities", str(own.customer_id), str(address.customer_id))
    assert (won.target, won.detail["from"]) == (str(address.customer_id), str(own.customer_id))
    assert [row.reason for row in CustomerMerge.objects.all()] == ["shared:email"], "they may be one person: staff decide"
    claimer.post("email/", {"email": ADA})
    assert the_address().customer_id == ada.session.identity.customer_id, "typed again it goes nowhere"


def test_a_customer_who_is_known_by_that_address_alone_becomes_one_with_who_proves_it(entrance: Entrance) -> None:
    mail = SenderName(IdentityKind.EMAIL, ADA)
    wrote = identities.resolve(mail, tenant_id=entrance.tenant_id, now=timezone.now())
    make_ticket(entrance.tenant, customer=wrote.customer, subject="By telephone")
    ada = signed(entrance, "4711", ADA)
    assert ada.session.identity.customer_id == wrote.customer_id
    assert seen(ada) == ["By telephone"]


def test_what_who_proved_the_address_answers_is_not_shown_to_who_only_typed_it(claimer: Visitor) -> None:
    make_ticket(claimer.entrance.tenant, customer=the_address().customer, subject="Ada's bill")
    reader = opened_mail(claimer)
    assert reader.post("tickets/1/", {"client_id": "a1", "text": "When is it due?"}).status_code == 202
    process_arrivals()
    assert Conversation.objects.get().identity == the_address()
    assert (seen(claimer), seen(reader)) == ([], ["Ada's bill"])
    assert [line["text"] for line in json_of(reader.get("tickets/1/"))["lines"]] == ["When is it due?"]


def test_an_answer_that_was_on_its_way_takes_the_ticket_from_no_other_identitys_conversation(entrance: Entrance) -> None:
    visitor, now = Visitor(entrance).begin(), timezone.now()
    ticket = make_ticket(entrance.tenant, customer=visitor.session.identity.customer)
    visitor.post("email/", {"email": ADA})
    assert visitor.post("tickets/1/", {"client_id": "a1", "text": "Any news?"}).status_code == 202
    make_entrance(entrance.tenant, EntranceKind.EMAIL, settings={"address": "help@shop.example"})
    written: dict[str, Any] = {"identity_id": None, "subject": "Lamp", "text": "It is on its way.", "client_id": "w1"}
    writing.write_to_customer(ticket=ticket, agent=make_agent(entrance.tenant, at=now), **written, by=TESTER, now=now)
    process_arrivals()
    talk = Ticket.objects.get().conversation
    assert talk is not None
    assert (talk.identity, Conversation.objects.count()) == (the_address(), 2)


def test_what_was_opened_for_no_identity_is_shown_only_to_who_the_site_has_signed(entrance: Entrance) -> None:
    unknown, visitor, ada = make_customer(entrance.tenant), Visitor(entrance).begin(), signed(entrance, "4711")
    make_ticket(entrance.tenant, customer=unknown, subject="By telephone")
    for reader, found in ((visitor, []), (ada, ["By telephone"])):
        Ticket.objects.update(customer=reader.session.identity.customer)
        assert seen(reader) == found
    TicketEvent.objects.update(data={})
    assert seen(ada) == ["By telephone"]
    Ticket.objects.update(customer=visitor.session.identity.customer)
    assert seen(visitor) == []


def test_work_orders_go_with_the_ticket_that_needs_them(claimer: Visitor) -> None:
    tenant, now = claimer.entrance.tenant, timezone.now()
    kind = make_type(tenant, kind="work_order", group=make_group(tenant, at=now))
    mailbox = make_entrance(tenant, EntranceKind.EMAIL)
    orders = []
    for talk in (make_conversation(claimer.session.identity, claimer.entrance), make_conversation(the_address(), mailbox)):
        needs = make_ticket(tenant, conversation=talk)
        orders.append(opening.open_work_order(parent=needs, new=opening.NewTicket(type=kind, subject="Look"), by=TESTER, now=now))
    mallory, ada = the_address().customer_id, signed(claimer.entrance, "4711", ADA).session.identity.customer_id
    assert [Ticket.objects.get(pk=order.pk).customer_id for order in orders] == [mallory, ada]


def test_a_customer_who_is_known_by_an_address_alone_keeps_it_when_staff_give_it_to_another(entrance: Entrance) -> None:
    now, bob = timezone.now(), make_customer(entrance.tenant)
    wrote = identities.resolve(SenderName(IdentityKind.EMAIL, ADA), tenant_id=entrance.tenant_id, now=now)
    new = NewIdentity(kind=IdentityKind.EMAIL, value=ADA, verified=True)
    with pytest.raises(Conflict) as refused:
        editing.add_identity(customer_id=bob.pk, tenant_id=entrance.tenant_id, identity=new, by=TESTER, now=now)
    assert refused.value.extra["customer"] == str(wrote.customer_id)
    assert (the_address().customer_id, the_address().verified_at) == (wrote.customer_id, None)


def test_staff_who_have_checked_an_address_give_it_to_its_customer(claimer: Visitor) -> None:
    tenant_id, now, bob = claimer.entrance.tenant_id, timezone.now(), make_customer(claimer.entrance.tenant)
    new = NewIdentity(kind=IdentityKind.EMAIL, value="Ada@Example.com", verified=True)
    row = editing.add_identity(customer_id=bob.pk, tenant_id=tenant_id, identity=new, by=TESTER, now=now)
    assert (row.customer_id, row.pk, row.verified_at) == (bob.pk, the_address().pk, now)


def test_what_was_opened_while_two_were_merged_is_shown_to_neither_alone_after_the_merge_was_undone(entrance: Entrance) -> None:
    now, visitor = timezone.now(), Visitor(entrance).begin()
    wrote = identities.resolve(SenderName(IdentityKind.EMAIL, ADA), tenant_id=entrance.tenant_id, now=now)
    kept = visitor.session.identity.customer_id
    made = merging.merge(kept_id=kept, merged_id=wrote.customer_id, tenant_id=entrance.tenant_id, by=TESTER, now=now)
    make_ticket(entrance.tenant, customer=Customer.objects.get(pk=kept), subject="Ada's bill")
    assert seen(visitor) == []
    undoing.undo(merge_id=made.pk, tenant_id=entrance.tenant_id, by=TESTER, now=now)
    assert seen(visitor) == []


def test_a_transcript_goes_by_itself_only_to_an_address_that_the_session_has_proved(claimer: Visitor) -> None:
    Identity.objects.filter(kind=IdentityKind.EMAIL).update(verified_at=timezone.now())
    assert json_of(claimer.get("state/"))["email"] == "", "it is their customer's, but this browser has proved nothing"


def test_links_that_prove_an_address_name_one(entrance: Entrance) -> None:
    visitor = Visitor(entrance).begin()
    data: dict[str, Any] = {"entrance": str(entrance.pk), "identity": str(visitor.session.identity_id)}
    for wrong in ("x", str(visitor.session.identity_id)):
        with pytest.raises(Invalid) as refused:
            making.make(LinkPurpose.SIGN_IN, tenant_id=entrance.tenant_id, data={**data, "proves": wrong}, by=TESTER, now=timezone.now())
        assert refused.value.errors[0]["field"] == "data.proves"
