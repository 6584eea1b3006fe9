"""What agents decide at the desk: states, tags, notes, merges, conversations with others."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from accounts.roles import Role
from posthaste.lib.problems import Conflict
from routing.assignment import holding
from routing.contract import Incoming, SenderName
from routing.conversations import arrivals, hooks, lines
from routing.desk import merging, snoozing
from routing.models import (
    Agent,
    AuthorKind,
    Conversation,
    ConversationStatus,
    Customer,
    Draft,
    Entrance,
    EntranceKind,
    IdentityKind,
    Line,
    Note,
    Notice,
    NoticeKind,
)
from routing.processing import process
from tests.builders import TESTER
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_customer, make_entrance
from tests.routing.desk.builders import Desk, ask, hold, make_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def mei(tenant: Tenant) -> Desk:
    return make_desk(tenant, make_group(tenant, at=timezone.now()), role=Role.OPERATOR)


def come_in(conversation: Conversation, text: str, *, sender: str = "", thread: str | None = None) -> None:
    """Have a text come in as the conversation's entrance takes it."""
    incoming = Incoming(
        external_id=f"{text}-{timezone.now().timestamp()}",
        sender=SenderName(kind=conversation.identity.kind, value=sender or conversation.identity.value),
        text=text,
        thread=conversation.thread if thread is None else thread,
    )
    arrivals.store(conversation.entrance_id, [incoming], tenant_id=conversation.tenant_id, now=timezone.now())
    process.process_arrivals()


@pytest.mark.both_stacks
def test_spam_takes_what_the_sender_writes_next_and_wakes_no_one(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    Agent.objects.update(load=1)
    mei.do(conversation, "spam")
    come_in(conversation, "Buy now")
    conversation.refresh_from_db()
    assert (conversation.status, conversation.last_seq, Conversation.objects.count()) == ("spam", 2, 1)
    assert not Notice.objects.filter(kind=NoticeKind.REPLY).exists()
    row = mei.do(conversation, "reopen")["row"]
    assert (row["status"], row["agent"]["name"], row["unanswered_since"] is None) == ("assigned", mei.agent and mei.agent.name, False)


@pytest.mark.both_stacks
def test_a_closed_conversation_is_reopened_unless_another_has_begun(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    assert mei.do(conversation, "close")["row"]["status"] == "closed"
    assert mei.refused(conversation, "close")["status"] == 409
    come_in(conversation, "Hello again")
    other = Conversation.objects.exclude(pk=conversation.pk).get()
    problem = mei.refused(conversation, "reopen")
    assert (problem["code"], problem["conversation"]) == ("another_is_open", str(other.pk))
    mei.do(other, "resolve")
    # The page of a chat goes from one conversation to the next, and would not show what is written in the one before.
    assert mei.refused(conversation, "reopen")["conversation"] == str(other.pk)
    Entrance.objects.filter(pk=conversation.entrance_id).update(kind=EntranceKind.EMAIL)
    assert mei.do(conversation, "reopen")["row"]["status"] == "assigned"
    assert mei.refused(conversation, "reopen")["status"] == 409


def test_who_has_no_room_reopens_for_the_queue(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    mei.do(conversation, "resolve")
    Agent.objects.update(capacity=1, load=1)
    assert mei.do(conversation, "reopen")["row"]["status"] == "queued"


@pytest.mark.both_stacks
def test_a_snoozed_conversation_comes_back_once(tenant: Tenant, mei: Desk) -> None:
    conversation, now = hold(ask(tenant), mei.agent), timezone.now()
    assert mei.refused(conversation, "snooze", until=now.isoformat())["errors"][0]["field"] == "until"
    mei.do(conversation, "snooze", until=(now + timedelta(hours=1)).isoformat())
    assert snoozing.wake_due(now=now) == 0
    later = now + timedelta(hours=2)
    assert [snoozing.wake_due(now=later) for _ in range(2)] == [1, 0]
    assert Notice.objects.filter(kind=NoticeKind.WOKEN, agent=mei.agent).count() == 1


@pytest.mark.both_stacks
def test_one_that_cannot_wake_holds_up_no_other(tenant: Tenant, mei: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    bad, good = (hold(ask(tenant), mei.agent) for _number in range(2))
    for hours, conversation in enumerate((bad, good), start=1):
        mei.do(conversation, "snooze", until=(now + timedelta(hours=hours)).isoformat())

    def fail(ids: Any, *_more: Any, **_named: Any) -> None:
        if bad.pk in ids:
            raise RuntimeError

    monkeypatch.setattr(hooks.on_moved, "reactions", [fail])
    monkeypatch.setattr(snoozing, "AT_ONCE", 1)
    later = now + timedelta(hours=3)
    assert [snoozing.wake_due(now=later) for _time in range(3)] == [0, 1, 0]
    bad.refresh_from_db()
    assert bad.snoozed_until is not None


def test_tags_and_priority_are_kept_and_named_in_the_trail(tenant: Tenant, mei: Desk) -> None:
    conversation = ask(tenant)
    assert mei.do(conversation, "tags", add=["vip", " two  words "])["row"]["tags"] == ["two words", "vip"]
    assert mei.do(conversation, "tags", add=["vip"], remove=["two words"])["row"]["tags"] == ["vip"]
    assert mei.refused(conversation, "tags", add=[""])["errors"][0]["field"] == "add"
    assert mei.do(conversation, "priority", priority=9)["row"]["priority"] == 9
    assert mei.refused(conversation, "priority", priority=11)["errors"][0]["field"] == "priority"
    written = AuditEntry.objects.filter(target=str(conversation.pk)).values_list("action", flat=True)
    assert sorted(written) == ["conversation.priority", "conversation.tag", "conversation.tag"]


@pytest.mark.both_stacks
def test_a_note_is_written_once_tells_those_it_mentions_and_takes_its_draft(tenant: Tenant, mei: Desk) -> None:
    tom = make_desk(tenant)
    conversation = ask(tenant, make_group(tenant, "billing", at=timezone.now()))
    assert tom.get(f"c/{conversation.pk}/").status_code == 404
    mei.do(conversation, "draft", text="Look", is_note=True)
    mention = [str(tom.agent and tom.agent.pk)]
    made = [mei.do(conversation, "note", text="Look at this", client_id="n-1", mentions=mention)["note"] for _ in range(2)]
    assert (made[0], made[0]["after_seq"], Note.objects.count(), Draft.objects.count()) == (made[1], 1, 1, 0)
    (notice,) = tom.read("notices/")["notices"]
    assert (notice["kind"], notice["conversation"], notice["read"]) == ("mention", str(conversation.pk), False)
    assert tom.read(f"c/{conversation.pk}/")["notes"][0]["text"] == "Look at this"
    tom.do(conversation, "note", text="I see")
    assert tom.refused(conversation, "reply", text="Hi")["code"] == "forbidden"
    assert mei.refused(conversation, "note", text="x", mentions=[str(conversation.pk)])["errors"][0]["field"] == "mentions"
    assert tom.post("notices/read/", conversation=str(conversation.pk)).json()["read"] == 1


@pytest.mark.both_stacks
def test_the_last_draft_counts_and_one_that_was_sent_does_not_come_back(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    for text in ("On", "On its"):
        assert mei.do(conversation, "draft", text=text, client_id="d-1")["row"]["draft"] == text
    assert mei.read(f"c/{conversation.pk}/")["draft"] == {"reply": "On its", "note": ""}
    mei.do(conversation, "reply", text="On its way", client_id="d-1")
    assert mei.do(conversation, "draft", text="On its wa", client_id="d-1")["kept"] is False
    assert Draft.objects.count() == 0


@pytest.mark.both_stacks
def test_a_merged_conversation_is_shown_before_the_one_that_goes_on_until_it_is_undone(tenant: Tenant, mei: Desk) -> None:
    kept = hold(ask(tenant), mei.agent)
    merged = hold(ask(tenant, customer=kept.customer, text="And my invoice?"), mei.agent)
    foreign = ask(tenant)
    for other, said in ((foreign, "different customers"), (merged, "two different")):
        assert said in mei.refused(merged, "merge", into=str(other.pk))["detail"]
    mei.do(merged, "merge", into=str(kept.pk))
    assert mei.refused(merged, "reopen")["status"] == mei.refused(merged, "merge", into=str(kept.pk))["status"] == 409
    (before,) = mei.read(f"c/{kept.pk}/")["merged"]
    assert [line["text"] for line in before["lines"]] == ["And my invoice?"]
    assert mei.read("inbox/", view="mine")["ids"] == [str(kept.pk)]
    assert mei.do(merged, "unmerge")["row"]["status"] in ("queued", "assigned")
    assert mei.read(f"c/{kept.pk}/")["merged"] == []
    assert mei.refused(merged, "unmerge")["status"] == 409


@pytest.mark.both_stacks
def test_what_is_written_to_a_merged_thread_of_the_same_identity_goes_on_in_the_other(tenant: Tenant, mei: Desk) -> None:
    kept = ask(tenant)
    merged = Conversation.objects.get(pk=ask(tenant, customer=kept.customer).pk)
    Conversation.objects.filter(pk=merged.pk).update(identity=kept.identity, entrance=kept.entrance, thread="second")
    merged.refresh_from_db()
    merging.merge(conversation=merged, into=kept, by=TESTER, now=timezone.now())
    come_in(kept, "More", thread="second")
    kept.refresh_from_db()
    assert (kept.last_seq, Conversation.objects.count()) == (2, 2)


@pytest.mark.both_stacks
def test_that_an_agent_takes_over_is_no_answer(tenant: Tenant, mei: Desk) -> None:
    for data, is_answered in (({"bot": "hand_over"}, False), ({"bot": "answer"}, True), ({}, True)):
        conversation = ask(tenant)
        lines.append(conversation, author=AuthorKind.BOT, text="Wait", data=data, now=timezone.now())
        mei.do(conversation, "spam")
        assert (mei.do(conversation, "reopen")["row"]["unanswered_since"] is None) == is_answered


@pytest.mark.both_stacks
def test_what_was_merged_through_another_is_shown_and_goes_on_in_the_last_one(tenant: Tenant, mei: Desk) -> None:
    last = hold(ask(tenant), mei.agent)
    first, second = (hold(ask(tenant, customer=last.customer, text=text), mei.agent) for text in ("One", "Two"))
    Conversation.objects.filter(pk=first.pk).update(identity=last.identity, entrance=last.entrance, thread="first")
    mei.do(first, "merge", into=str(second.pk))
    mei.do(second, "merge", into=str(last.pk))
    assert [each["lines"][0]["text"] for each in mei.read(f"c/{last.pk}/")["merged"]] == ["One", "Two"]
    come_in(last, "Three", thread="first")
    last.refresh_from_db()
    assert (last.last_seq, Conversation.objects.count()) == (2, 3)


@pytest.mark.both_stacks
def test_after_a_merge_was_undone_only_those_wait_who_wrote(tenant: Tenant, mei: Desk) -> None:
    kept = hold(ask(tenant), mei.agent)
    mei.do(kept, "reply", text="Yes")
    merged = hold(ask(tenant, customer=kept.customer), mei.agent)
    mei.do(merged, "merge", into=str(kept.pk))
    assert mei.read("rows/", ids=str(kept.pk))["rows"][0]["unanswered_since"] is not None
    mei.do(merged, "unmerge")
    rows = mei.read("rows/", ids=f"{kept.pk},{merged.pk}")["rows"]
    assert [row["unanswered_since"] is None for row in rows] == [True, False]


def test_a_wrong_merge_is_undone_also_after_the_visitor_has_begun_another_chat_that_is_over(tenant: Tenant, mei: Desk) -> None:
    kept = hold(ask(tenant), mei.agent)
    merged = hold(ask(tenant, customer=kept.customer), mei.agent)
    mei.do(merged, "merge", into=str(kept.pk))
    come_in(merged, "Hello?")
    newer = Conversation.objects.latest("pk")
    assert (newer.entrance_id, mei.refused(merged, "unmerge")["conversation"]) == (merged.entrance_id, str(newer.pk))
    mei.do(newer, "resolve")
    assert mei.do(merged, "unmerge")["row"]["status"] in ("queued", "assigned")


def test_what_is_resolved_is_snoozed_no_more(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    mei.do(conversation, "snooze", until=(timezone.now() + timedelta(days=1)).isoformat())
    mei.do(conversation, "resolve")
    conversation.refresh_from_db()
    assert conversation.snoozed_until is None


@pytest.mark.both_stacks
def test_the_same_client_id_at_two_conversations_asks_others_twice(tenant: Tenant, mei: Desk) -> None:
    make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "desk@acme.example"})
    question = {"to": "parts@supplier.example", "subject": "Lamp 7", "text": "Do you have it?", "client_id": "s-1"}
    first, second = (mei.do(hold(ask(tenant), mei.agent), "side", **question)["side"]["id"] for _number in range(2))
    assert first != second
    for subject in ("Lamp\r\nBcc: all@example.com", "\u200b", "La\x00mp"):
        assert mei.refused(hold(ask(tenant), mei.agent), "side", **{**question, "subject": subject})["errors"][0]["field"] == "subject"


@pytest.mark.both_stacks
def test_others_are_asked_by_e_mail_and_their_answer_finds_the_conversation(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    question = {"to": "parts@supplier.example", "subject": "Lamp 7", "text": "Do you have it?", "client_id": "s-1"}
    assert mei.refused(conversation, "side", **question)["code"] == "no_mailbox"
    make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "desk@acme.example"})
    made: list[Any] = [mei.do(conversation, "side", **question) for _ in range(2)]
    assert made[0]["side"]["id"] == made[1]["side"]["id"]
    side = Conversation.objects.get(pk=made[0]["side"]["id"])
    assert (side.parent, Line.objects.filter(conversation=side).count()) == (conversation, 1)
    assert mei.read("inbox/", view="all")["ids"] == [str(conversation.pk)]

    come_in(side, "Yes, two", sender="boss@supplier.example")

    side.refresh_from_db()
    assert (side.last_seq, side.status, side.agent, side.unanswered_since) == (2, ConversationStatus.ASSIGNED, None, None)
    notice = Notice.objects.get(kind=NoticeKind.REPLY)
    assert (notice.agent, notice.conversation, notice.data) == (mei.agent, conversation, {"side": str(side.pk)})
    assert mei.read(f"c/{conversation.pk}/")["sides"][0]["unread"] == 1
    assert mei.read(f"c/{side.pk}/")["lines"][1]["text"] == "Yes, two"
    assert mei.refused(side, "release")["status"] == 409
    with pytest.raises(Conflict):
        holding.release(conversation=side, by=TESTER, now=timezone.now())
    mei.do(side, "close")
    assert mei.refused(conversation, "side", **{**question, "to": "nobody", "client_id": ""})["errors"][0]["field"] == "to"


def test_customers_of_others_are_made_once(tenant: Tenant, mei: Desk) -> None:
    make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "desk@acme.example"})
    known = make_customer(tenant)
    known.identities.create(
        tenant=tenant, kind=IdentityKind.EMAIL, value="parts@supplier.example", created_at=timezone.now(), last_seen_at=timezone.now()
    )
    conversation = hold(ask(tenant), mei.agent)
    before = Customer.objects.count()
    mei.do(conversation, "side", to="Parts@Supplier.example", subject="Lamp", text="Hi")
    assert Customer.objects.count() == before
