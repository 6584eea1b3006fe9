"""The bot in conversations: one answer to each text, none beside a human, and an agent whenever anything goes wrong."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from urllib3.util import parse_url

from accounts.models import AuditEntry, Tenant
from posthaste import env
from posthaste.env import ROOT
from routing.bot import answering, figures, kicking, reading, sweeping
from routing.bot.answering import Written
from routing.bot.deciding import Decision
from routing.configuration import bot
from routing.configuration.bot import Detail
from routing.conversations import replies, resolving
from routing.conversations.replies import Author
from routing.faq import search
from routing.intents import live
from routing.intents.live import Recognized
from routing.models import AuthorKind, BotAction, BotTurn, Conversation, ConversationStatus, FaqEntry, Line, Note
from routing.processing import process
from tests.builders import TESTER, configure, make_tenant
from tests.crowds import at_once
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.bot.builders import DETAILS, enable, know, make_entry, make_with_bot, say
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import incoming
from tests.routing.processing.test_process import arrive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

DIES = """
import os
import signal
import sys
from uuid import UUID
import django
django.setup()
from django.db import transaction
from routing.bot import answering
from routing.bot.deciding import Decision
from routing.models import BotAction
answering._decided = lambda seen: Decision(BotAction.ASK, "again")
whole = answering.write
def write(*arguments, **options):
    with transaction.atomic():
        whole(*arguments, **options)
        if sys.argv[1] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
answering.write = write
answering.answer_waiting()
"""


def answered(conversation: Conversation) -> list[str]:
    """Return what the bot wrote."""
    return list(Line.objects.filter(conversation=conversation, author=AuthorKind.BOT).order_by("seq").values_list("text", flat=True))


def turns(conversation: Conversation) -> list[tuple[int, str, str]]:
    """Return what the bot did."""
    return list(BotTurn.objects.filter(conversation=conversation).order_by("seq").values_list("seq", "action", "reason"))


def test_an_answer_names_its_entry_and_score_to_agents_and_is_counted(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable(greeting="Hello, I am the bot.")
    entry = make_entry(tenant)
    conversation = make_with_bot(tenant, "Hi", "Where is my parcel?")
    asked = know(monkeypatch, entry, 0.83)

    assert answering.answer_waiting() == 1

    assert asked == [["Hi", "Where is my parcel?"]], "both texts are one question"
    line = Line.objects.get(conversation=conversation, author=AuthorKind.BOT)
    assert line.text == "Hello, I am the bot.\n\nLook into My orders.\n\nDid that help? If not, just ask for an agent."
    assert (line.data["faq"], line.data["score"], line.data["choices"]) == (str(entry.pk), 0.83, ["Yes", "No"])
    assert turns(conversation) == [(2, "answer", "sure")]
    conversation.refresh_from_db()
    assert (conversation.status, conversation.unanswered_since, conversation.first_response_at) == (ConversationStatus.BOT, None, None)
    assert answering.answer_waiting() == 0, "never twice"

    say(conversation, "yes")
    answering.answer_waiting()
    entry.refresh_from_db()
    assert (entry.shown, entry.answered, entry.helpful, entry.unhelpful) == (1, 1, 1, 0)
    assert BotTurn.objects.get(entry=entry).was_helpful is True


def test_two_systems_that_thank_each_other_come_to_an_end(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    know(monkeypatch, None)
    conversation = make_with_bot(tenant)
    for _time in range(4):
        say(conversation, "Thank you for your message.", intent="thanks_goodbye")
        answering.answer_waiting()
    assert len(answered(conversation)) == 1
    conversation.refresh_from_db()
    assert (conversation.status, conversation.unanswered_since) == (ConversationStatus.BOT, None), "no agent is called for that"
    assert sweeping.end_idle(now=timezone.now() + timedelta(hours=1)) == 1
    conversation.refresh_from_db()
    assert conversation.status == ConversationStatus.RESOLVED


def test_two_workers_at_once_answer_once(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    conversation = make_with_bot(tenant, "Where is my parcel?")
    know(monkeypatch, make_entry(tenant))
    at_once(*[lambda: answering.answer(conversation.pk)] * 3)
    assert len(answered(conversation)) == 1
    assert turns(conversation) == [(1, "answer", "sure")]


@pytest.mark.parametrize(("when", "lines"), [("before", 0), ("after", 1)])
def test_a_killed_worker_answers_once_in_the_end(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, when: str, lines: int) -> None:
    enable()
    conversation = make_with_bot(tenant, "Where is my parcel?")
    database = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{database}" if connection.vendor == "sqlite" else parse_url(env.load().database_url)._replace(path=f"/{database}").url
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": url}
    ended = subprocess.run([sys.executable, "-c", DIES, when], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(answered(conversation)) == lines

    know(monkeypatch, make_entry(tenant))
    sweeping.sweep_bot()

    assert len(answered(conversation)) == 1
    assert len(turns(conversation)) == 1


def test_the_bot_is_silent_when_an_agent_takes_the_conversation_meanwhile(tenant: Tenant) -> None:
    enable()
    now = timezone.now()
    conversation = make_with_bot(tenant, "Where is my parcel?")
    agent = make_agent(tenant, make_group(tenant, at=now), at=now)
    seen = reading.read(conversation.pk)
    assert seen is not None

    replies.reply(conversation=conversation, author=Author(agent=agent), text="I look into it.", by=TESTER, now=now)

    conversation.refresh_from_db()
    assert (conversation.status, conversation.agent) == (ConversationStatus.ASSIGNED, agent)
    assert answering.write(seen, Decision(BotAction.ASK, "again"), now=now) is Written.BEATEN
    assert turns(conversation) == [(1, "silent", "human")]
    say(conversation, "Thanks, and the other one?")
    assert answering.answer_waiting() == 0
    assert answered(conversation) == []


def test_the_bot_leaves_a_conversation_in_which_another_system_replies(tenant: Tenant) -> None:
    enable()
    conversation = make_with_bot(tenant, "Where is my parcel?")
    replies.reply(conversation=conversation, author=Author(owner="key:x"), text="On its way.", by=TESTER, now=timezone.now())
    conversation.refresh_from_db()
    assert conversation.status == ConversationStatus.QUEUED
    assert answering.answer_waiting() == 0


def test_a_text_that_comes_while_the_bot_decides_is_answered_with_the_one_before(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    conversation = make_with_bot(tenant, "Hello")
    entry = make_entry(tenant)
    asked = know(monkeypatch, entry)
    whole = search.find

    def find(*arguments: object, **options: object) -> object:
        if not asked:
            say(conversation, "Where is my parcel?")
        return whole(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(search, "find", find)
    answering.answer_waiting()
    assert asked == [["Hello"], ["Hello", "Where is my parcel?"]]
    assert turns(conversation) == [(2, "answer", "sure")]


def test_a_failure_hands_over_to_an_agent_with_a_summary(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    now = timezone.now()
    agent = make_agent(tenant, make_group(tenant, at=now), at=now)
    conversation = make_with_bot(tenant, "Where is my parcel?", at=now)

    def find(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("no model")

    monkeypatch.setattr(search, "find", find)
    answering.answer_waiting()

    conversation.refresh_from_db()
    assert (conversation.status, conversation.agent) == (ConversationStatus.ASSIGNED, agent)
    assert conversation.unanswered_since == now, "the customer still waits"
    assert turns(conversation) == [(1, "hand_over", "failure")]
    assert answered(conversation) == ["A colleague will take care of this. Please wait a moment."]
    assert (
        Note.objects.get(conversation=conversation).text == "The bot handed over: the bot failed\nThe customer wrote: Where is my parcel?"
    )
    assert AuditEntry.objects.filter(action="conversation.hand_over", actor="system:bot").count() == 1


def test_the_third_miss_hands_over(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    conversation = make_with_bot(tenant)
    know(monkeypatch, None)
    for text in ("blorb", "blorb blorb", "blorb!"):
        say(conversation, text)
        answering.answer_waiting()
    assert [turn[1:] for turn in turns(conversation)] == [("ask", "again"), ("ask", "again"), ("hand_over", "misses")]
    conversation.refresh_from_db()
    assert conversation.status == ConversationStatus.QUEUED


def test_details_are_collected_for_the_agent(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable(details=[Detail(**each) for each in DETAILS])
    conversation = make_with_bot(tenant)
    know(monkeypatch, None)
    for text, intent in (("我的订单呢", "order_status"), ("不知道", ""), ("A-1042", ""), ("上海", "")):
        say(conversation, text, intent=intent, language="zh")
        answering.answer_waiting()
    assert [turn[1:] for turn in turns(conversation)] == [
        ("collect", "needed"), ("collect", "again"), ("collect", "needed"), ("hand_over", "collected"),
    ]  # fmt: skip
    assert answered(conversation)[0] == "订单号？"
    assert "。 " not in "".join(answered(conversation))
    conversation.refresh_from_db()
    assert conversation.details["collected"] == {"order_number": "A-1042", "city": "上海"}
    assert "order_number: A-1042" in Note.objects.get(conversation=conversation).text


def test_a_conversation_is_handed_over_for_what_is_wanted_last(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable(details=[Detail(intent="refund_status", name="order_number", question="Which order?")])
    conversation = make_with_bot(tenant, intent="order_status", confidence=0.9)
    know(monkeypatch, make_entry(tenant))
    for text, intent in (("Where is my parcel?", "order_status"), ("I want my money back", "refund_status")):
        say(conversation, text, intent=intent)
        answering.answer_waiting()
    know(monkeypatch, None)
    say(conversation, "The one of Monday", intent="appointment")
    answering.answer_waiting()
    conversation.refresh_from_db()
    assert (conversation.status, conversation.intent, conversation.confidence) == (ConversationStatus.QUEUED, "refund_status", 0.9)


def test_an_entry_that_is_archived_after_it_was_offered_hands_over(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    entry = make_entry(tenant)
    conversation = make_with_bot(tenant, "parcel?")
    know(monkeypatch, entry, 0.5)
    answering.answer_waiting()
    assert answered(conversation) == ["Is this what you want to know?\n1. Where is my parcel?\nWrite 1, or say it in other words."]
    FaqEntry.objects.update(published={})
    say(conversation, "1")
    answering.answer_waiting()
    assert turns(conversation)[-1][1:] == ("hand_over", "no_answer")


def test_the_sweep_hands_over_what_was_not_answered_in_time(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable()
    now = timezone.now()
    old = make_with_bot(tenant, "Kills each worker", at=now - timedelta(seconds=16))
    new = make_with_bot(tenant, "Where is my parcel?", at=now - timedelta(seconds=4))
    asked = know(monkeypatch, make_entry(tenant))
    assert sweeping.is_overdue()
    sweeping.sweep_bot()
    assert turns(old) == [(1, "hand_over", "late")]
    assert asked == [["Where is my parcel?"]]
    assert turns(new) == [(1, "answer", "sure")]
    assert not sweeping.is_overdue()


def test_idle_conversations_are_resolved_or_handed_over(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    enable(resolve_minutes=30, hand_over_minutes=10)
    entry = make_entry(tenant)
    done, open_question = make_with_bot(tenant, "Where is my parcel?"), make_with_bot(tenant, "blorb")
    know(monkeypatch, entry)
    answering.answer(done.pk)
    know(monkeypatch, None)
    answering.answer(open_question.pk)
    now = timezone.now()

    assert sweeping.end_idle(now=now + timedelta(minutes=9)) == 0
    assert sweeping.end_idle(now=now + timedelta(minutes=11)) == 1
    assert turns(open_question)[-1][1:] == ("hand_over", "idle")
    later = now + timedelta(minutes=31)
    monkeypatch.setattr(sweeping, "MOST", 1)
    other = make_with_bot(make_tenant("Other"), "blorb")
    answering.answer(other.pk)
    Conversation.objects.filter(pk=other.pk).update(agent_wrote_at=now - timedelta(days=1))
    with bot.set(resolve_minutes=30, hand_over_minutes=0):  # such as for a tenant of its own: it waits for ever
        assert sweeping.end_idle(now=later) == 1
    done.refresh_from_db()
    assert (done.status, done.agent) == (ConversationStatus.RESOLVED, None)

    days = figures.by_day(tenant.pk, since=now - timedelta(days=1), until=later + timedelta(days=1), zone=timezone.get_default_timezone())
    assert sum(day.deflected for day in days) == 1
    assert sum(day.handed_over for day in days) == 1
    assert sum(day.turns.get("answer", 0) for day in days) == 1


def test_what_is_never_resolved_keeps_nothing_else_from_its_end(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MOST", 1)
    enable(resolve_minutes=0, hand_over_minutes=10)
    done, open_question = make_with_bot(tenant, "Where is my parcel?"), make_with_bot(tenant, "blorb")
    know(monkeypatch, make_entry(tenant))
    answering.answer(done.pk)
    know(monkeypatch, None)
    answering.answer(open_question.pk)
    assert sweeping.end_idle(now=timezone.now() + timedelta(minutes=11)) == 1
    assert turns(open_question)[-1][1:] == ("hand_over", "idle")


def recognize(given: list[str], *, tenant_id: int) -> list[Recognized]:
    return [Recognized("", 0.2, (), "zh" if text.startswith("订") else "en", 3, "threshold") for text in given]


def test_what_begins_is_the_bots_in_a_constant_number_of_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "recognize", recognize)
    monkeypatch.setattr(kicking, "kick", lambda: None)
    entrance = make_entrance()

    def statements(number: int, prefix: str) -> int:
        arrive(entrance, *(incoming("Where is my order?", sender=f"{prefix}{n}") for n in range(number)))
        with CaptureQueriesContext(connection) as found:
            while process.process_arrivals():
                pass
        return len(found)

    enable()
    few, many = statements(3, "a"), statements(50, "b")
    assert many <= few + 2
    assert set(Conversation.objects.values_list("status", flat=True)) == {ConversationStatus.BOT}
    configure(bot, is_enabled=False)
    assert statements(3, "c") >= few, "the bot's way costs no more than the queue"


def test_the_bot_takes_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "recognize", recognize)
    kicked: list[bool] = []
    monkeypatch.setattr(kicking, "kick", lambda: kicked.append(True))
    chat, shop = make_entrance(name="Chat"), make_entrance(name="Shop")
    enable(entrances=["Chat"], languages=["en"])

    def status(sender: str, at: object = chat, **fields: object) -> str:
        arrive(at, incoming(str(fields.pop("text", "Where is it?")), sender=sender, **fields))  # type: ignore[arg-type]
        process.process_arrivals()
        return Conversation.objects.filter(identity__value=sender).order_by("-pk")[0].status

    assert status("ada") == ConversationStatus.BOT
    assert kicked == [True]
    assert status("bo", shop) == ConversationStatus.QUEUED
    assert status("cy", group="vip-desk") == ConversationStatus.QUEUED
    assert status("di", text="订单呢") == ConversationStatus.QUEUED
    resolved = Conversation.objects.get(identity__value="ada")
    resolving.resolve(conversation=resolved, by=TESTER, now=timezone.now())
    assert status("ada") == ConversationStatus.BOT, "the bot had it, and gets it back"
    agent = make_agent(chat.tenant, at=timezone.now())
    Conversation.objects.filter(pk=resolved.pk).update(status=ConversationStatus.RESOLVED, resolved_at=timezone.now(), agent=agent)
    assert status("ada") == ConversationStatus.ASSIGNED, "its agent goes first"
