"""Everything about a customer can be taken out, and what tells who they are can be erased."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from posthaste.lib.problems import Conflict
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals, attachments, replies
from routing.conversations.arrivals import owner_of
from routing.conversations.replies import Author
from routing.customers import attributes, erasing, exporting, identities, merging
from routing.customers.erasing import OpenConversations
from routing.desk import noting
from routing.links import making
from routing.models import (
    Arrival,
    Attachment,
    AttributeSource,
    Conversation,
    ConversationStatus,
    Customer,
    CustomerAttribute,
    Draft,
    Entrance,
    EntranceKind,
    Identity,
    IdentityKind,
    Line,
    LinkPurpose,
    Notice,
    SafeLink,
    Utterance,
    UtteranceState,
    Welcome,
)
from routing.processing import process
from tests.builders import TESTER, make_message, make_suppression, make_tenant
from tests.crowds import at_once
from tests.routing.assignment.builders import make_agent
from tests.routing.builders import make_conversation, make_way
from tests.routing.conversations.builders import make_arrival
from tests.routing.customers.builders import make_attachment, make_known, make_line

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 30, 9, tzinfo=UTC)
EMAIL, SECRET = "ada@example.com", "My parcel is late"


def make_full() -> Customer:
    """Make a customer with one of everything, and one merged into it."""
    identity = make_known(value=EMAIL, name="Ada Lovelace", note="Likes tea")
    customer = identity.customer
    make_attachment(make_line(identity.conversations.get()))
    attributes.record(customer.pk, {"level": "gold"}, source=AttributeSource.STAFF, now=NOW)
    other = make_known(customer.tenant, value="second@example.com", name="Augusta")
    merging.merge(kept_id=customer.pk, merged_id=other.customer_id, tenant_id=customer.tenant_id, by=TESTER, now=NOW)
    making.make(
        LinkPurpose.VISIT, tenant_id=customer.tenant_id, by=TESTER, now=NOW, target="https://a.example/Ada", customer_id=customer.pk
    )
    make_suppression(customer.tenant, EMAIL)
    make_message(customer.tenant, channel="email", recipient=EMAIL)
    for state, line in zip((UtteranceState.SUGGESTED, UtteranceState.ACCEPTED), Line.objects.order_by("pk"), strict=False):
        Utterance.objects.create(
            tenant=customer.tenant, text=f"{SECRET} {state}", text_key=state, state=state, line_id=line.pk, created_at=NOW
        )
    return customer


def erase(customer: Customer) -> erasing.Erased:
    return erasing.erase(customer_id=customer.pk, tenant_id=customer.tenant_id, by=TESTER, now=NOW)


def test_an_export_has_everything_that_is_kept_and_is_written_down() -> None:
    customer = make_full()
    found = exporting.export(customer_id=customer.pk, tenant_id=customer.tenant_id, by=TESTER, now=NOW)
    text = orjson.dumps(found).decode()
    for part in (EMAIL, "second@example.com", "Ada Lovelace", "Augusta", "Likes tea", SECRET, "gold", "bill.html", "https://a.example/Ada"):
        assert part in text, part
    assert [len(found[name]) for name in ("identities", "conversations", "links", "suppressions", "messages")] == [2, 2, 1, 1, 1]
    assert "script" not in text, "an attachment's content is not part of it"
    assert AuditEntry.objects.latest("pk").action == "customer.export"


def test_erasing_leaves_nothing_that_tells_who_it_was_or_what_they_wrote() -> None:
    customer = make_full()
    answer = erase(customer)
    rows = [str(row.__dict__) for model in (Customer, Identity, Line, Conversation, Arrival) for row in model._default_manager.all()]
    text = " ".join([*rows, *(str(entry.detail) for entry in AuditEntry.objects.all())])
    for part in (EMAIL, "second@example.com", "Ada", "Augusta", "tea", SECRET, "gold"):
        assert part not in text, part
    counts = [model._default_manager.count() for model in (Attachment, CustomerAttribute, SafeLink)]
    assert counts == [0, 0, 0]
    assert [(row.state, row.line_id) for row in Utterance.objects.all()] == [("accepted", None)]
    assert answer.deleted == {
        "texts": 3, "attachments": 1, "suggested_examples": 1, "attributes": 1, "links": 1, "identities": 2, "tickets": 0,
        "notes": 0,
    }  # fmt: skip
    assert Customer.objects.filter(erased_at=NOW).count() == 2, "the rows stay to be counted"
    assert [entry["what"] for entry in answer.kept][1] == "Entries of the suppression list"


def test_erasing_takes_drafts_along_and_what_agents_were_told() -> None:
    customer = make_full()
    talk, agent = customer.conversations.order_by("pk")[0], make_agent(customer.tenant, at=NOW)
    Draft.objects.create(agent=agent, conversation=talk, text=f"Dear Ada, {SECRET}", changed_at=NOW)
    noting.add_note(conversation=talk, agent=None, text=f"Ada says: {SECRET}", mentions=[agent.pk], by=TESTER, now=NOW)
    erase(customer)
    assert (Draft.objects.count(), Notice.objects.count()) == (0, 0)


def test_erasing_twice_changes_nothing_and_says_when_it_was_done() -> None:
    customer = make_full()
    first = erase(customer)
    number = AuditEntry.objects.count()
    again = erasing.erase(customer_id=customer.pk, tenant_id=customer.tenant_id, by=TESTER, now=NOW + timedelta(days=1))
    assert (again.erased_at, again.deleted, AuditEntry.objects.count()) == (first.erased_at, {}, number)


def test_one_who_writes_again_after_the_erasure_is_a_new_customer() -> None:
    customer = make_full()
    erase(customer)
    found = identities.resolve(SenderName("email", EMAIL), tenant_id=customer.tenant_id, now=NOW)
    assert found.customer_id != customer.pk


def test_open_conversations_are_resolved_before() -> None:
    identity = make_known(value=EMAIL)
    make_conversation(identity, status=ConversationStatus.ASSIGNED)
    with pytest.raises(OpenConversations) as refused:
        erase(identity.customer)
    assert refused.value.detail == "Conversations that are not over: 1. Resolve them first."
    assert Identity.objects.filter(value=EMAIL).exists()


def test_files_that_were_uploaded_and_not_sent_or_not_taken_in_are_erased_too() -> None:
    customer = make_full()
    identity = customer.identities.order_by("pk")[0]
    entrance = identity.conversations.get().entrance
    sender = f"{identity.kind}:{identity.value}"
    failed = make_arrival(entrance, sender=sender, state="failed")
    kept = make_arrival(entrance, sender="email:else@example.com", state="failed")
    owners = (f"identity:{identity.pk.hex}", owner_of(failed.pk), owner_of(kept.pk))
    for owner in owners:
        attachments.upload(name="a.txt", content=b"hi", tenant_id=customer.tenant_id, owner=owner, now=NOW)
    erase(customer)
    assert list(Attachment.objects.values_list("owner", flat=True)) == [owners[-1]]


def test_nothing_is_replied_to_one_who_was_erased() -> None:
    customer = make_full()
    conversation = customer.conversations.order_by("pk")[0]
    erase(customer)
    with pytest.raises(Conflict):
        replies.reply(conversation=conversation, author=Author(owner="key:test"), text="Hello?", by=TESTER, now=NOW)


def test_welcome_messages_are_counted_still_and_name_the_customer_no_more() -> None:
    identity = make_known(kind=IdentityKind.WECOM, value="wmAda")
    entrance = identity.conversations.get().entrance
    for number, name in enumerate(("wmAda", "wmBo")):
        Welcome.objects.create(
            entrance=entrance, contact_way=make_way(entrance), code_digest=str(number), external_user_id=name, created_at=NOW
        )
    found = exporting.export(customer_id=identity.customer_id, tenant_id=identity.tenant_id, by=TESTER, now=NOW)
    assert [row["external_user_id"] for row in found["wecom"]["welcomes"]] == ["wmAda"]
    erase(identity.customer)
    assert list(Welcome.objects.order_by("pk").values_list("external_user_id", flat=True)) == ["", "wmBo"]


@pytest.mark.both_stacks
@pytest.mark.django_db(transaction=True)
def test_whether_a_reply_a_text_or_the_erasure_is_first_nothing_personal_is_left_of_one_who_was_erased() -> None:
    tenant = make_tenant()
    for number in range(6):
        now, value = timezone.now(), f"ada-{number}@example.com"
        identity = make_known(tenant, value=value, name="Ada Lovelace")
        conversation = identity.conversations.get()
        Entrance.objects.filter(pk=conversation.entrance_id).update(kind=EntranceKind.EMAIL)
        file = attachments.upload(name="Ada.txt", content=b"hi", tenant_id=tenant.pk, owner="key:test", now=now)
        thing = Incoming(f"text-{number}", SenderName("email", value, name="Ada Lovelace"), text=f"{SECRET} again")

        def reply(conversation: Conversation = conversation, file: Attachment = file) -> bool:
            author, now = Author(owner="key:test"), timezone.now()
            try:
                replies.reply(conversation=conversation, author=author, text="Dear Ada", file_ids=[file.pk], by=TESTER, now=now)
            except Conflict:
                return False
            return True

        def come(place: Entrance = conversation.entrance, thing: Incoming = thing) -> None:
            arrivals.store(place.pk, [thing], tenant_id=tenant.pk, now=timezone.now())

        def text(come: Callable[[], None] | None = come if number % 2 else None) -> None:
            if come:
                come()
            process.process_arrivals()

        def forget(customer: Customer = identity.customer) -> bool:
            try:
                erasing.erase(customer_id=customer.pk, tenant_id=tenant.pk, by=TESTER, now=timezone.now())
            except OpenConversations:
                return False
            return True

        if not number % 2:
            come()
        _replied, _written, erased = at_once(reply, text, forget)
        if erased:
            left = [*Line.objects.filter(conversation__customer=identity.customer_id), *Identity.objects.filter(pk=identity.pk)]
            left += [*Conversation.objects.filter(customer=identity.customer_id), Customer.objects.get(pk=identity.customer_id)]
            left += Arrival.objects.filter(line_id__in=[one.pk for one in left])
            told = " ".join(str(one.__dict__) for one in left)
            assert not [part for part in ("Ada", value, SECRET) if part in told], told
            assert not Attachment.objects.filter(conversation__customer=identity.customer_id).exists()
            assert not SafeLink.objects.filter(customer=identity.customer_id).exists()
        else:
            assert Identity.objects.get(pk=identity.pk).value == value, "it was refused, and nothing is gone"
        assert Arrival.objects.get(external_id=f"text-{number}").state == "done"
