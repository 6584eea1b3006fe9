"""Replies: one line and one message, whatever is repeated; to the identity that wrote; not two answers to one question."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from messaging.configuration import delivery_rules
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.contract import EntranceRow, Reply
from routing.conversations import attachments, correcting, hooks, lines, replies, resolving
from routing.conversations.replies import AnsweredMeanwhile, Author
from routing.entrances import registry
from routing.entrances.provision import ensure_reply_provider
from routing.models import Agent, AuthorKind, Conversation, ConversationStatus, Intent, Line, Utterance
from tests.builders import TESTER
from tests.routing.builders import make_conversation, make_identity

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

SYSTEM = Author(owner="key:test")


def asked(**fields: Any) -> Conversation:
    """Make a conversation in which the customer has asked something."""
    conversation = make_conversation(**fields)
    ensure_reply_provider(tenant_id=conversation.tenant_id, by=TESTER)
    lines.append(conversation, author=AuthorKind.CUSTOMER, text="Where is my order?", now=timezone.now())
    return conversation


def reply(conversation: Conversation, text: str = "On its way.", **options: Any) -> Line:
    return replies.reply(
        conversation=conversation, author=options.pop("author", SYSTEM), text=text, by=TESTER, now=timezone.now(), **options
    )


def message_of(line: Line) -> Message:
    assert line.message_id
    return Message.objects.get(pk=line.message_id)


def send(line: Line) -> Message:
    """Deliver a reply as a worker does, and return its message."""
    deliver([message_of(line).pk])
    return message_of(line)


def test_a_reply_is_a_line_and_a_message_with_its_trace() -> None:
    conversation = asked()

    line = reply(conversation)

    message = message_of(line)
    assert (message.channel, message.recipient, message.body) == ("desk", conversation.identity.value, "On its way.")
    conversation.refresh_from_db()
    assert (line.seq, conversation.last_seq, conversation.unanswered_since) == (2, 2, None)
    assert AuditEntry.objects.filter(action="conversation.reply", tenant_id=conversation.tenant_id).count() == 1
    message = send(line)
    assert (message.status, message.provider_message_id) == (Status.SENT, f"portal-{message.pk.hex}")


def test_a_reply_sent_five_times_is_one_line_and_one_message() -> None:
    conversation = asked()
    assert len({reply(conversation, client_id="c-1").pk for _ in range(5)}) == 1
    assert (Line.objects.filter(author=AuthorKind.BOT).count(), Message.objects.count()) == (1, 1)


def test_the_adapter_gets_the_identity_that_wrote_and_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[EntranceRow, Reply]] = []

    class Recording:
        def verify(self, *_: Any) -> None: ...

        def parse(self, *_: Any) -> Any: ...

        def reply(self, entrance: EntranceRow, reply: Reply) -> str:
            given.append((entrance, reply))
            return "theirs-1"

    monkeypatch.setitem(registry.KINDS, "portal", registry.Kind(code="portal", title="", adapter=Recording()))
    conversation = asked(details={"open_kfid": "wk1"})
    make_identity(conversation.customer, value="another name of the same customer")
    now = timezone.now()
    file = attachments.upload(name="a.txt", content=b"hi", tenant_id=conversation.tenant_id, owner="key:test", now=now)

    line = reply(conversation, file_ids=[file.pk])
    sent = send(line)

    ((entrance, handed),) = given
    assert entrance.id == str(conversation.entrance_id)
    assert (handed.identity_value, handed.details) == (conversation.identity.value, {"open_kfid": "wk1"})
    assert handed.files == (("a.txt", "text/plain", b"hi"),)
    assert sent.provider_message_id == "theirs-1"


def test_a_message_of_a_disabled_entrance_fails_and_says_so() -> None:
    conversation = asked()
    line = reply(conversation)
    conversation.entrance.is_enabled = False
    conversation.entrance.save()
    message = send(line)
    assert (message.status, message.error_code) == (Status.FAILED, "entrance_disabled")


def test_a_second_bot_does_not_answer_the_same_question() -> None:
    conversation = asked()
    reply(conversation, seen_seq=1)
    with pytest.raises(AnsweredMeanwhile):
        reply(conversation, "The same again", seen_seq=1)
    assert reply(conversation, "More", seen_seq=2).seq == 3


def test_an_agent_may_write_twice_in_a_row(django_user_model: Any) -> None:
    conversation = asked()
    user = django_user_model.objects.create_user("ada")
    agent = Agent.objects.create(tenant_id=conversation.tenant_id, user=user, name="Ada", created_at=timezone.now())
    author = Author(agent=agent, owner="agent:ada")
    assert [reply(conversation, author=author, seen_seq=1).author for _ in range(2)] == [AuthorKind.AGENT] * 2


@pytest.mark.parametrize(("text", "field"), [("", "text"), (" \u200b\n", "text"), ("x" * 20_001, "text")])
def test_a_reply_without_a_text_or_with_too_long_a_one_is_refused(text: str, field: str) -> None:
    with pytest.raises(Invalid) as error:
        reply(asked(), text)
    assert error.value.errors[0]["field"] == field


def test_a_file_of_another_owner_is_refused() -> None:
    conversation = asked()
    others = attachments.upload(name="a.txt", content=b"hi", tenant_id=conversation.tenant_id, owner="identity:1", now=timezone.now())
    with pytest.raises(Invalid) as error:
        reply(conversation, file_ids=[new_id(), others.pk])
    assert [entry["field"] for entry in error.value.errors] == ["files[0]", "files[1]"]
    assert not Message.objects.exists()


def test_a_closed_conversation_takes_no_reply() -> None:
    with pytest.raises(Conflict):
        reply(asked(status=ConversationStatus.CLOSED))


def test_resolving_tells_those_who_asked_and_happens_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(hooks.on_resolved, "reactions", [lambda conversation, now: told.append(conversation.pk)])
    conversation = asked(status=ConversationStatus.QUEUED)

    resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())
    with pytest.raises(Conflict):
        resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())

    assert told == [conversation.pk]
    assert conversation.status == ConversationStatus.RESOLVED


def test_a_corrected_intent_is_suggested_for_training() -> None:
    conversation = asked()
    Intent.objects.create(tenant_id=conversation.tenant_id, name="delivery_status", title="Delivery", created_at=timezone.now())
    with pytest.raises(Invalid):
        correcting.correct_intent(conversation=conversation, intent="no_such", by=TESTER, now=timezone.now())

    correcting.correct_intent(conversation=conversation, intent="delivery_status", by=TESTER, now=timezone.now())

    suggested = Utterance.objects.get()
    assert (suggested.text, suggested.source, suggested.state) == ("Where is my order?", "correction", "suggested")
    conversation.refresh_from_db()
    assert conversation.intent == "delivery_status"


def test_read_marks_only_move_forward_and_never_past_the_last_line() -> None:
    conversation = asked()
    reply(conversation)
    moved = [lines.mark_read(conversation, by_customer=True, seq=seq) for seq in (3, 2, 1, 2)]
    assert moved == [False, True, False, False]


def test_files_that_were_never_sent_go_after_a_day() -> None:
    conversation, old = asked(), timezone.now() - timedelta(days=2)
    for owner, made in (("identity:1", old), ("identity:1", timezone.now()), ("arrival:1", old)):
        attachments.upload(name="a.txt", content=b"hi", tenant_id=conversation.tenant_id, owner=owner, now=made)
    assert attachments.delete_unsent(now=timezone.now()) == 1


def test_neither_quiet_hours_nor_the_same_text_again_hold_up_an_answer() -> None:
    conversation = asked()
    with delivery_rules.set(duplicates={"is_enabled": True}, quiet_hours=[{"name": "all-day", "start": "00:00", "end": "00:00"}]):
        assert [send(reply(conversation, "OK")).status for _ in range(2)] == [Status.SENT] * 2
