"""微信客服: what customers write comes in once and in order, and replies go out within WeCom's limits."""

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from urllib3.util import parse_url

from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from posthaste import env
from posthaste.env import ROOT
from posthaste.lib.problems import Conflict
from routing.conversations import attachments, replies, resolving
from routing.conversations.replies import Author
from routing.desk import states
from routing.entrances.wecom_kf import pulling, quota, sessions, wanted
from routing.models import Arrival, Conversation, Entrance, EntranceKind, KfCursor, Line
from routing.processing import process
from tests.builders import TESTER
from tests.peers.wecom import ASSISTANT, CUSTOMER, ENDED, KF, SERVICER, WeCom
from tests.routing.entrances.builders import call_back, lines_of, make_wecom, path_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

DIES = """
import os, signal, sys, uuid, django
django.setup()
from routing.entrances.wecom_kf import pulling
pulling.PAGE = 2
whole, seen = pulling._write, []
def write(*given):
    seen.append(1)
    if len(seen) == 3 and sys.argv[3] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    found = whole(*given)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
pulling._write = write
pulling.pull(uuid.UUID(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
def entrance(wecom: WeCom) -> Entrance:
    return make_wecom(EntranceKind.WECOM_KF, wecom)


def pulled(entrance: Entrance, wecom: WeCom) -> int:
    assert call_back(entrance, wecom, wecom.kf_event()).status_code == 200
    return pulling.pull(entrance.pk, KF)


def asked(entrance: Entrance, wecom: WeCom, text: str = "我的包裹在哪里?") -> Conversation:
    """Let a customer ask something, and return the conversation."""
    wecom.customer_writes(text)
    pulled(entrance, wecom)
    return lines_of(entrance)[-1].conversation


def reply(conversation: Conversation, text: str = "已发货") -> Line:
    row = Conversation.objects.select_related("entrance").get(pk=conversation.pk)
    return replies.reply(conversation=row, author=Author(owner="key:test"), text=text, by=TESTER, now=timezone.now())


def sent(line: Line) -> Message:
    assert line.message_id
    deliver([line.message_id])
    return Message.objects.get(pk=line.message_id)


def test_wecom_verifies_the_address(entrance: Entrance, wecom: WeCom) -> None:
    query, echo = wecom.caller.echo()
    answer = Client().get(f"{path_of(entrance)}?{query}")
    assert (answer.status_code, answer.content.decode()) == (200, echo)


def test_a_text_comes_in_with_its_customers_name_and_is_answered(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    assert (conversation.identity.value, conversation.identity.name, conversation.thread) == (CUSTOMER, "小明", KF)

    message = sent(reply(conversation))

    assert message.status == Status.SENT
    assert [(said.to, said.text, said.id) for said in wecom.sent] == [(CUSTOMER, "已发货", message.pk.hex)]


def test_a_callback_is_answered_without_a_call_to_wecom_and_five_times_the_same_gives_one_line(entrance: Entrance, wecom: WeCom) -> None:
    wecom.customer_writes("在吗")
    event = wecom.kf_event()
    call_back(entrance, wecom, event)
    with CaptureQueriesContext(connection) as captured:
        assert {call_back(entrance, wecom, event).content for _ in range(4)} == {b"success"}
    assert (len(captured) / 4 <= 6, wecom.calls.total()) == (True, 0)
    assert [pulling.pull(entrance.pk, KF) for _ in range(3)] == [1, 0, 0]
    assert [line.text for line in lines_of(entrance)] == ["在吗"]


def test_pages_are_taken_in_order_also_empty_ones(entrance: Entrance, wecom: WeCom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "PAGE", 3)
    texts = [f"第{number}条" for number in range(10)]
    for text in texts:
        wecom.customer_writes(text)
    wecom.is_next_page_empty = True
    assert pulled(entrance, wecom) == 10
    assert [line.text for line in lines_of(entrance)] == texts


def test_a_callback_during_a_pull_leads_to_another(entrance: Entrance, wecom: WeCom, monkeypatch: pytest.MonkeyPatch) -> None:
    write = pulling._write

    def interrupted(*given: object) -> int | None:
        if wecom.calls["kf/sync_msg"] == 1:
            wecom.customer_writes("noch eine")
            call_back(entrance, wecom, wecom.kf_event())
        return write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(pulling, "_write", interrupted)
    wecom.customer_writes("eine")
    assert pulled(entrance, wecom) == 2
    assert KfCursor.objects.get().wanted_at is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_between_pages_loses_and_doubles_nothing(
    entrance: Entrance, wecom: WeCom, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        wecom.customer_writes(str(number))
    call_back(entrance, wecom, wecom.kf_event())
    database = str(connection.settings_dict["NAME"])
    url = f"sqlite:///{database}" if connection.vendor == "sqlite" else parse_url(env.load().database_url)._replace(path=f"/{database}").url
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "posthaste.settings"}
    command = [sys.executable, "-c", DIES, str(entrance.pk), KF, when]
    died = subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert Arrival.objects.count() == (4 if when == "before" else 6)

    KfCursor.objects.update(lease_until=timezone.now() - timedelta(seconds=1), wanted_at=timezone.now() - timedelta(minutes=1))
    assert pulling.pulls_are_overdue()
    sent: list[tuple[str, ...]] = []
    monkeypatch.setattr(wanted, "send_task", lambda *task, **_options: sent.append(task))
    wanted.kick_taken(str(entrance.pk), KF)
    pulling.sweep_pulls()
    assert sent == [("routing.pull", str(entrance.pk), KF)]
    pulling.pull(entrance.pk, KF)

    assert [line.text for line in lines_of(entrance)] == [str(number) for number in range(9)]


def test_what_wecom_refuses_is_asked_again_later(entrance: Entrance, wecom: WeCom) -> None:
    wecom.customer_writes("hallo")
    wecom.answer_error(call="kf/sync_msg", code=-1)
    assert pulled(entrance, wecom) == 0
    row = KfCursor.objects.get()
    assert row.wanted_at
    assert row.lease_until
    assert row.lease_until > timezone.now()
    KfCursor.objects.update(lease_until=None)
    assert pulling.pull(entrance.pk, KF) == 1


def test_an_expired_token_of_a_callback_does_no_harm(entrance: Entrance, wecom: WeCom) -> None:
    wecom.customer_writes("hallo")
    call_back(entrance, wecom, wecom.kf_event())
    wecom.advance(seconds=1_000)
    assert pulling.pull(entrance.pk, KF) == 1


def test_a_file_is_fetched_and_one_that_is_gone_holds_up_no_text(entrance: Entrance, wecom: WeCom) -> None:
    wecom.media["M1"] = "image/png", "a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 30
    wecom.customer_writes(kind="image", media_id="M1")
    wecom.customer_writes(kind="image", media_id="gone")
    wecom.customer_writes("danach")
    pulled(entrance, wecom)
    assert [(line.text, line.attachments.count()) for line in lines_of(entrance)] == [("", 1), ("", 0), ("danach", 0)]


def test_files_go_as_what_wecom_takes_and_one_that_it_never_takes_sends_nothing(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    picture, film = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    large = 10 << 20
    given = {"a.png": picture + b"0" * 30, "b.png": picture + b"0" * large, "c.mp4": film + b"0" * 30, "d.gif": b"GIF89a" + b"0" * 30}

    def answer(name: str, content: bytes) -> Message:
        now = timezone.now()
        file = attachments.upload(name=name, content=content, tenant_id=entrance.tenant_id, owner="key:test", now=now)
        row = Conversation.objects.select_related("entrance").get(pk=conversation.pk)
        return sent(replies.reply(conversation=row, author=Author(owner="key:test"), text="", file_ids=[file.pk], by=TESTER, now=now))

    assert [answer(name, content).status for name, content in given.items()] == [Status.SENT] * 4
    assert [said.kind for said in wecom.sent] == ["image", "file", "video", "file"]
    refused = answer("e.txt", b"hi")
    assert (refused.status, refused.error_code, len(wecom.sent)) == (Status.FAILED, "file_size", 4)


def test_the_sixth_reply_is_refused_before_it_is_sent(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    for number in range(5):
        assert sent(reply(conversation, str(number))).status == Status.SENT
    conversation.refresh_from_db()
    assert (found := quota.quota(conversation))
    assert found.left_at(timezone.now()) == 0
    with pytest.raises(quota.QuotaUsed):
        reply(conversation, "eine zu viel")
    assert (len(wecom.sent), Line.objects.filter(text="eine zu viel").count(), Message.objects.count()) == (5, 0, 5)

    asked(entrance, wecom, "还有一个问题")
    assert sent(reply(conversation, "gern")).status == Status.SENT


def test_after_48_hours_a_reply_is_refused(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    line = Line.objects.get()
    Line.objects.update(data={**line.data, "sent_at": (timezone.now() - timedelta(hours=49)).isoformat()})
    with pytest.raises(Conflict, match="48 hours"):
        reply(conversation)


def test_a_session_in_a_wrong_state_is_moved_and_one_of_an_agent_in_wecom_is_left(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    wecom.answer_error(call="kf/send_msg", code=95018)
    assert sent(reply(conversation)).status == Status.SENT
    assert wecom.sessions[KF, CUSTOMER].state == ASSISTANT
    wecom.sessions[KF, CUSTOMER].state = SERVICER
    message = sent(reply(conversation, "noch etwas"))
    assert (message.status, message.error_code) == (Status.FAILED, "wecom_95018")


def test_a_resolved_conversation_ends_its_session(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    row = Conversation.objects.select_related("entrance").get(pk=conversation.pk)
    assert not sessions.end_session(row.pk)
    resolving.resolve(conversation=row, by=TESTER, now=timezone.now())
    assert sessions.end_session(row.pk)
    assert wecom.sessions[KF, CUSTOMER].state == ENDED


def test_a_session_ends_after_the_last_reply_and_not_while_the_customer_writes(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    line = reply(conversation, "Bitte bewerten Sie uns")
    row = Conversation.objects.select_related("entrance").get(pk=conversation.pk)
    states.close(conversation=row, by=TESTER, now=timezone.now())
    assert not sessions.end_session(row.pk), "nothing could be sent any more"
    assert sent(line).status == Status.SENT

    other = asked(entrance, wecom, "noch etwas")
    assert other.pk != row.pk
    assert not sessions.end_session(row.pk)
    states.close(conversation=other, by=TESTER, now=timezone.now())
    assert sessions.end_session(row.pk)


def test_replies_that_never_leave_are_waited_for_less_and_less_and_in_the_end_no_more(
    entrance: Entrance, wecom: WeCom, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, float]] = []
    monkeypatch.setattr(sessions, "broker_is_up", lambda: True)
    monkeypatch.setattr(sessions, "send_task", lambda _task, _id, looks, *, expires, countdown: told.append((looks, countdown)))
    conversation, now = asked(entrance, wecom), timezone.now()
    reply(conversation, "Bitte bewerten Sie uns")
    states.close(conversation=Conversation.objects.select_related("entrance").get(pk=conversation.pk), by=TESTER, now=now)
    told.clear()
    for looks in range(12):
        assert not sessions.end_session(conversation.pk, looks=looks, now=now)
    assert [wait for _looks, wait in told] == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300, 300, 300]
    told.clear()
    assert not sessions.end_session(conversation.pk, now=now + timedelta(hours=1))
    assert told == []


def test_a_picture_is_waited_for_while_wecom_is_away(entrance: Entrance, wecom: WeCom) -> None:
    wecom.media["M1"] = "image/png", "a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 30
    wecom.customer_writes(kind="image", media_id="M1")
    pulled(entrance, wecom)
    for _ in range(7):
        wecom.answer_error(call="media/get", code=-1)
        process.process_arrivals()
        Arrival.objects.update(lease_until=None)
    assert [(row.state, row.attempts) for row in Arrival.objects.all()] == [("pending", 0)]
    assert [(line.text, line.attachments.count()) for line in lines_of(entrance)] == [("", 1)]


def test_a_reply_that_wecom_did_not_deliver_is_marked_failed(entrance: Entrance, wecom: WeCom) -> None:
    conversation = asked(entrance, wecom)
    message = sent(reply(conversation))
    failure = {"event_type": "msg_send_fail", "open_kfid": KF, "external_userid": CUSTOMER, "fail_msgid": message.pk.hex, "fail_type": 10}
    wecom.add("event", failure, user="", origin=4)
    pulled(entrance, wecom)
    lines_of(entrance)
    message.refresh_from_db()
    assert (message.status, message.error_code) == (Status.FAILED, "wecom_refused")
    found = quota.quota(conversation)
    assert found
    assert found.left == 5


def test_a_message_taken_back_is_marked_and_what_an_agent_wrote_in_wecom_is_shown(entrance: Entrance, wecom: WeCom) -> None:
    item = wecom.customer_writes("falsch")
    wecom.add(
        "event",
        {"event_type": "user_recall_msg", "open_kfid": KF, "external_userid": CUSTOMER, "recall_msgid": item["msgid"]},
        user="",
        origin=4,
    )
    wecom.add("text", {"content": "von mir"}, user=CUSTOMER, origin=5)
    pulled(entrance, wecom)
    first, second = lines_of(entrance)
    assert "recalled_at" in first.data
    assert (second.author, second.text, second.data["kind"]) == ("system", "von mir", "written_in_wecom")


@pytest.mark.parametrize("wrong", ["signature", "old", "truncated", "bomb", "nothing"])
def test_a_forged_callback_is_refused_and_stores_nothing(
    entrance: Entrance, wecom: WeCom, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, body = wecom.caller.sealed(wecom.kf_event())
    match wrong:
        case "signature":
            query = query.replace("msg_signature=", "msg_signature=0")
        case "old":
            monkeypatch.setattr("tests.peers.wecom_callbacks.time.time", lambda: 1_700_000_000)
            query, body = wecom.caller.sealed(wecom.kf_event())
        case "truncated":
            body = body.replace(b"</Encrypt>", b"").replace(b"<Encrypt>", b"<Encrypt>AAAA")
        case "bomb":
            body = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><xml><Encrypt>&c;</Encrypt></xml>'
        case "nothing":
            query, body = "", b""
    answer = Client().post(f"{path_of(entrance)}?{query}", body, content_type="text/xml")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert not KfCursor.objects.exists()


def test_a_callback_of_another_company_is_refused(entrance: Entrance, wecom: WeCom) -> None:
    entrance.settings["corp_id"] = "ww-another"
    entrance.save()
    assert call_back(entrance, wecom, wecom.kf_event()).status_code == 401


def test_a_disabled_entrance_is_not_there(entrance: Entrance, wecom: WeCom) -> None:
    entrance.is_enabled = False
    entrance.save()
    assert call_back(entrance, wecom, wecom.kf_event()).status_code == 404
