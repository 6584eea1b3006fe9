"""Opening a conversation, reading on, replying and claiming."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Tenant
from messaging.models import Message
from routing.conversations import attachments, lines
from routing.conversations.hooks import Received, tell_received
from routing.models import AuthorKind, Conversation, Draft, Identity, Line, Notice, NoticeKind
from tests.routing.assignment.builders import make_group
from tests.routing.bot.builders import know, make_entry
from tests.routing.desk.builders import ask, hold, make_desk

pytestmark = pytest.mark.django_db


@pytest.mark.both_stacks
def test_a_reply_is_sent_once_shows_its_message_and_takes_the_draft_with_it(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    desk = make_desk(tenant, group)
    conversation = hold(ask(tenant, group), desk.agent)
    assert desk.agent
    Draft.objects.create(agent=desk.agent, conversation=conversation, text="On its", changed_at=timezone.now())

    made = [desk.do(conversation, "reply", text="On its way.", client_id="d-1", seen_seq=1) for _ in range(2)]

    assert made[0]["line"] == made[1]["line"]
    line = made[0]["line"]
    message = Message.objects.get(pk=line["message"]["id"])
    assert (line["author"], line["agent"]["name"], line["message"]["status"]) == ("agent", desk.agent and desk.agent.name, message.status)
    assert line["message"]["trace_url"] == f"/admin/messaging/message/{message.pk}/change/"
    assert (made[0]["row"]["version"], made[0]["row"]["draft"], Draft.objects.count()) == (2, "", 0)
    assert made[0]["row"]["snippet"] == "On its way."


@pytest.mark.both_stacks
def test_of_two_agents_who_claim_one_gets_it_and_the_other_learns_who(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    mei, tom = make_desk(tenant, group), make_desk(tenant, group)
    conversation = ask(tenant, group)
    row = mei.do(conversation, "claim")["row"]
    assert (row["status"], row["agent"]["id"]) == ("assigned", str(mei.agent and mei.agent.pk))
    problem = tom.refused(conversation, "claim")
    assert (problem["status"], problem["code"], problem["owner"]) == (409, "taken", mei.agent and mei.agent.name)
    assert Notice.objects.filter(kind=NoticeKind.ASSIGNED, read_at=None).count() == 0


def test_an_answer_by_another_agent_meanwhile_is_told(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    mei, tom = make_desk(tenant, group), make_desk(tenant, group)
    conversation = ask(tenant, group)
    mei.do(conversation, "reply", text="On its way.", seen_seq=1)
    assert tom.refused(conversation, "reply", text="It is lost.", seen_seq=1)["code"] == "answered_meanwhile"
    assert tom.refused(conversation, "reply")["errors"][0]["field"] == "text"
    assert tom.refused(conversation, "dance")["code"] == "not_found"


def test_an_opened_conversation_shows_who_writes_and_what_is_known(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    desk = make_desk(tenant, group)
    conversation = ask(tenant, group)
    Identity.objects.filter(pk=conversation.identity_id).update(kind="email", value="ada@example.com")
    desk.do(conversation, "claim")
    earlier = ask(tenant, make_group(tenant, "billing", at=timezone.now()), customer=conversation.customer, subject="Secret")

    shown = desk.read(f"c/{conversation.pk}/")

    assert [line["text"] for line in shown["lines"]] == ["Where is my order?"]
    assert (shown["first_seq"], shown["row"]["unread"]) == (1, 1)
    assert {one["value"] for one in shown["customer"]["identities"]} & {"ada@example.com"} == set()
    assert [event["cause"] for event in shown["events"]] == ["claim"]
    other = next(one for one in shown["customer"]["history"] if one["id"] == str(earlier.pk))
    assert (other["subject"], other["can_open"]) == ("", False)
    assert desk.do(conversation, "read", seq=1)["row"]["unread"] == 0


def test_lines_are_read_on_in_both_directions(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    desk, conversation = make_desk(tenant, group), ask(tenant, group)
    now = timezone.now() + timedelta(seconds=1)
    for number in range(2, 66):
        lines.append(conversation, author=AuthorKind.CUSTOMER, text=f"Line {number}", now=now)
    opened = desk.read(f"c/{conversation.pk}/")
    assert [line["seq"] for line in opened["lines"]] == list(range(6, 66))
    assert [line["seq"] for line in desk.read(f"c/{conversation.pk}/lines/", before=6)["lines"]] == list(range(1, 6))
    assert [line["seq"] for line in desk.read(f"c/{conversation.pk}/lines/", after=63)["lines"]] == [64, 65]
    assert desk.get(f"c/{conversation.pk}/lines/").status_code == 422


def test_a_file_is_a_download_for_those_who_see_its_conversation(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    desk, other = make_desk(tenant, group), make_desk(tenant, make_group(tenant, "billing", at=timezone.now()))
    conversation = ask(tenant, group)
    line = Line.objects.get(conversation=conversation)
    file = attachments.upload(name="a.svg", content=b"<svg onload='x'>", tenant_id=tenant.pk, owner="x", now=timezone.now())
    attachments.give([file.pk], line=line, owner="x")
    (shown,) = desk.read(f"c/{conversation.pk}/")["lines"][0]["files"]
    assert (shown["is_image"], shown["type"]) == (False, "application/octet-stream")
    answer = desk.client.get(shown["url"])
    assert answer["Content-Disposition"].startswith("attachment")
    assert other.client.get(shown["url"]).status_code == 404


def test_a_customer_who_writes_twice_is_one_notice_until_answered(tenant: Tenant) -> None:
    desk = make_desk(tenant, make_group(tenant, at=timezone.now()))
    conversation = hold(ask(tenant), desk.agent)
    line = Line.objects.get(conversation=conversation)
    for _ in range(2):
        tell_received([Received(conversation, line, False)], now=timezone.now())
    assert Notice.objects.filter(agent=desk.agent, kind=NoticeKind.REPLY).count() == 1
    Conversation.objects.filter(pk=conversation.pk).update(unanswered_since=timezone.now() + timedelta(minutes=1))
    conversation.refresh_from_db()
    tell_received([Received(conversation, line, False)], now=timezone.now())
    assert Notice.objects.filter(agent=desk.agent, kind=NoticeKind.REPLY).count() == 2
    desk.do(conversation, "read", seq=1)
    assert not Notice.objects.filter(read_at=None).exists()


def test_a_page_learns_who_sits_there_and_what_it_can_offer(tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    desk, other = make_desk(tenant, group), make_desk(tenant)
    me = desk.read("me/")
    assert (me["agent"]["presence"], me["tenant"]["id"], me["sees_all"]) == ("online", tenant.pk, False)
    assert [(one["title"], one["mine"]) for one in me["groups"]] == [("General", True)]
    assert {one["id"] for one in me["agents"]} == {str(each.agent.pk) for each in (desk, other) if each.agent}


def test_an_agent_is_offered_answers_to_what_the_customer_wrote_last(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = make_desk(tenant)
    talk = hold(ask(tenant), desk.agent)
    entry = make_entry(tenant)
    know(monkeypatch, entry, 0.8)
    offered = desk.read(f"c/{talk.pk}/suggestions/")["suggestions"]
    assert offered == [{"entry": str(entry.pk), "question": entry.question, "answer": "Look into My orders.", "score": 0.8}]
    desk.do(talk, "resolve")
    assert desk.read(f"c/{talk.pk}/suggestions/")["suggestions"] == []


def test_a_line_of_the_bot_tells_the_entry_that_it_answered_with_and_a_failed_reply_says_why(tenant: Tenant) -> None:
    group, now = make_group(tenant, at=timezone.now()), timezone.now()
    desk = make_desk(tenant, group)
    conversation, entry = hold(ask(tenant, group), desk.agent), make_entry(tenant)
    lines.append(conversation, author=AuthorKind.BOT, text="Look into My orders.", data={"faq": str(entry.pk), "score": 0.91}, now=now)
    reply = desk.do(conversation, "reply", text="On its way.", seen_seq=2)["line"]
    Message.objects.filter(pk=reply["message"]["id"]).update(status="failed", error_code="no_line", error_detail="The line is gone.")

    asked, answered, replied = desk.read(f"c/{conversation.pk}/")["lines"]

    assert answered["entries"] == [{"question": entry.question, "score": 0.91, "url": f"/admin/routing/faqentry/{entry.pk}/change/"}]
    assert asked["entries"] == replied["entries"] == []
    assert replied["message"]["error"] == "The line is gone."
