"""E-mail in: what strangers send is read as far as it can be, in its thread, and no machine answers another."""

import base64
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Member, User
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status, Suppression, SuppressionReason
from messaging.suppression import suppressions
from messaging.suppression.suppressions import Entry
from routing.conversations import attachments, replies
from routing.conversations.replies import Author
from routing.entrances.email import mime
from routing.entrances.email.bot_replies import MailLoop
from routing.entrances.email.quotes import without_quotes
from routing.models import Agent, Arrival, Conversation, Entrance, Line
from tests.builders import TESTER, json_of, make_message, make_provider
from tests.peers.smtp import MailServer
from tests.routing.entrances.builders import lines_of, make_email, post_mail

pytestmark = pytest.mark.django_db(transaction=True)


def mail(text: str = "Where is my order?", **headers: str) -> bytes:
    said = {"From": "Ada <ada@customer.example>", "Subject": "My order", "Message-ID": "<first@customer.example>"}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()


def read(content: bytes, **options: Any) -> Any:
    return mime.read(content, own_addresses={"help@shop.example"}, received_at=timezone.now(), **options)


def replied(line: Line, *, agent: Agent | None = None, text: str = "It is on its way.") -> Line:
    row = Conversation.objects.select_related("entrance").get(pk=line.conversation_id)
    author = Author(agent=agent, owner="key:test")
    return replies.reply(conversation=row, author=author, text=text, by=TESTER, now=timezone.now())


def make_agent(entrance: Entrance) -> Agent:
    user = User.objects.create_user("ada")
    Member.objects.create(user=user, tenant_id=entrance.tenant_id, role="operator")
    return Agent.objects.create(tenant_id=entrance.tenant_id, user=user, name="Ada", created_at=timezone.now())


@pytest.mark.both_stacks
def test_a_posted_message_is_a_line_however_often_it_is_posted() -> None:
    entrance = make_email()
    assert {post_mail(entrance, mail()).status_code for _ in range(5)} == {202}
    (line,) = lines_of(entrance)
    assert (line.text, line.conversation.subject, line.conversation.identity.value) == (
        "Where is my order?",
        "My order",
        "ada@customer.example",
    )


def test_two_messages_with_one_id_are_two_lines() -> None:
    entrance = make_email()
    post_mail(entrance, mail("one"))
    post_mail(entrance, mail("two"))
    assert [line.text for line in lines_of(entrance)] == ["one", "two"]


@pytest.mark.both_stacks
def test_a_reply_leaves_in_the_thread_and_its_answer_comes_back_to_it() -> None:
    entrance = make_email()
    post_mail(entrance, mail())
    (asked,) = lines_of(entrance)
    with MailServer() as server:
        config = {"host": server.host, "port": server.port, "security": "none", "from_email": "noreply@shop.example"}
        make_provider(entrance.tenant, channel="email", kind="email", config=config)
        line = replied(asked, agent=make_agent(entrance))
        assert line.message_id
        deliver([line.message_id])
        sent = server.messages[0].message
    own_id = f"{line.message_id.hex}@shop.example"
    assert sent["Message-ID"] == f"<{own_id}>"
    assert (sent["In-Reply-To"], sent["References"], sent["Subject"]) == ("<first@customer.example>",) * 2 + ("Re: My order",)
    assert (sent["Reply-To"], sent["Auto-Submitted"]) == ("help@shop.example", None)

    only_ours = mail(
        "Thanks!\n\nOn Mon, Shop <help@shop.example> wrote:\n> It is on its way.", Message_ID="<x@y>", In_Reply_To=f"<{own_id}>"
    )
    post_mail(entrance, only_ours)
    thanks = lines_of(entrance)[-1]
    assert (thanks.text, thanks.conversation_id) == ("Thanks!", asked.conversation_id)


@pytest.mark.both_stacks
def test_one_who_unsubscribed_gets_answers_and_nothing_else_until_their_address_bounces() -> None:
    entrance, now = make_email(), timezone.now()
    post_mail(entrance, mail())
    (asked,) = lines_of(entrance)
    address = asked.conversation.identity.value

    def list_for(reason: SuppressionReason) -> None:
        entry = Entry(address, "email")
        suppressions.suppress([entry], tenant_id=entrance.tenant_id, reason=reason, author="test", now=now)

    def outcome(message: Message) -> tuple[str, str]:
        deliver([message.pk])
        message.refresh_from_db()
        return message.status, message.error_code

    def answer() -> tuple[str, str]:
        line = replied(asked)
        assert line.message_id
        return outcome(Message.objects.get(pk=line.message_id))

    with MailServer() as server:
        config = {"host": server.host, "port": server.port, "security": "none", "from_email": "noreply@shop.example"}
        make_provider(entrance.tenant, channel="email", kind="email", config=config)
        list_for(SuppressionReason.UNSUBSCRIBE)
        news = make_message(entrance.tenant, channel="email", recipient=address, status=Status.QUEUED)
        assert outcome(news) == ("suppressed", "rule:suppressed:unsubscribe")
        assert answer() == ("sent", "")
        list_for(SuppressionReason.HARD_BOUNCE)
        list_for(SuppressionReason.HARD_BOUNCE)
        assert answer() == ("suppressed", "rule:suppressed:hard_bounce")
        assert len(server.messages) == 1
    assert sorted(Suppression.objects.values_list("reason", "category")) == [("hard_bounce", suppressions.ANSWER), ("unsubscribe", "")]


def test_a_new_subject_is_another_conversation() -> None:
    entrance = make_email()
    post_mail(entrance, mail())
    post_mail(entrance, mail("And an invoice", Message_ID="<second@customer.example>"))
    assert len({line.conversation_id for line in lines_of(entrance)}) == 2


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"Auto_Submitted": "auto-replied"}, "auto_replied"),
        ({"Return_Path": "<>"}, "bounce"),
        ({"Precedence": "auto_reply"}, "auto_replied"),
        ({"From": "help@shop.example"}, "own"),
    ],
)
def test_what_a_machine_answers_begins_no_conversation(headers: dict[str, str], why: str) -> None:
    entrance = make_email()
    assert post_mail(entrance, mail(**headers)).status_code == 202
    assert Arrival.objects.get().body["details"]["automatic"] == why
    assert lines_of(entrance) == []


def test_an_automatic_answer_is_shown_in_its_conversation() -> None:
    entrance = make_email()
    post_mail(entrance, mail())
    out = mail("I am away", Message_ID="<away@y>", Auto_Submitted="auto-replied", References="<first@customer.example>")
    post_mail(entrance, out)
    asked, shown = lines_of(entrance)
    assert (shown.author, shown.text, shown.conversation_id) == ("system", "I am away", asked.conversation_id)


@pytest.mark.parametrize("headers", [{"List_Id": "<support.shop.example>"}, {"Precedence": "bulk"}, {"Auto_Submitted": "auto-generated"}])
def test_mail_of_a_list_or_a_form_is_taken_in_but_no_system_may_answer_it(headers: dict[str, str]) -> None:
    entrance = make_email()
    post_mail(entrance, mail(**headers))
    (line,) = lines_of(entrance)
    with pytest.raises(MailLoop):
        replied(line)
    assert replied(line, agent=make_agent(entrance)).seq == 2


@pytest.mark.both_stacks
def test_files_of_a_reply_are_safe_links_in_the_language_of_the_customer(client: Client) -> None:
    entrance = make_email()
    post_mail(entrance, mail("我的订单在哪里？"))
    (_line,) = lines_of(entrance)
    Conversation.objects.update(language="zh")
    row, now = Conversation.objects.select_related("entrance").get(), timezone.now()
    names = {"说明.txt": b"hi", "bill.html": b"<html>"}
    files = [
        attachments.upload(name=name, content=content, tenant_id=entrance.tenant_id, owner="key:test", now=now).pk
        for name, content in names.items()
    ]
    with MailServer() as server:
        config = {"host": server.host, "port": server.port, "security": "none", "from_email": "noreply@shop.example"}
        make_provider(entrance.tenant, channel="email", kind="email", config=config)
        line = replies.reply(conversation=row, author=Author(owner="key:test"), text="请看附件", file_ids=files, by=TESTER, now=now)
        assert line.message_id
        deliver([line.message_id])
        text = str(server.messages[0].message.get_content())
    first, _blank, _heading, *listed, until = text.strip().splitlines()
    assert (first, "年" in until) == ("请看附件", True)
    for one, (name, content) in zip(listed, names.items(), strict=True):
        assert one.startswith(name)
        path = urlsplit(one[one.index("http") :]).path
        assert client.head(path).status_code == 200, "a scanner may look first"
        answer = client.get(path)
        assert (answer.content, answer["Content-Type"]) == (content, "application/octet-stream")
    assert Line.objects.get(seq=2).text == "请看附件", "the conversation shows the files themselves"


def test_a_reply_of_files_only_in_a_language_that_is_not_ours_is_in_english() -> None:
    entrance = make_email()
    post_mail(entrance, mail())
    lines_of(entrance)
    Conversation.objects.update(language="fr")
    row, now = Conversation.objects.select_related("entrance").get(), timezone.now()
    file = attachments.upload(name="a.txt", content=b"hi", tenant_id=entrance.tenant_id, owner="key:test", now=now)
    replies.reply(conversation=row, author=Author(owner="key:test"), text="", file_ids=[file.pk], by=TESTER, now=now)
    assert Message.objects.get().body.startswith("Files:\na.txt (2\xa0bytes): http")


def test_two_systems_do_not_answer_each_other_for_ever() -> None:
    entrance = make_email(bot_replies_per_hour=3)
    post_mail(entrance, mail())
    (line,) = lines_of(entrance)
    for number in range(3):
        replied(line, text=str(number))
    with pytest.raises(MailLoop):
        replied(line)
    assert Message.objects.count() == 3


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Hi\n\nOn Mon, 1 Nov 2026 at 10:00, Shop <a@b.c> wrote:\n> old", "Hi"),
        ("你好\n\n在 2026年11月1日，商店 <a@b.c> 写道：\n> 旧", "你好"),
        ("你好\n\n------------------ 原始邮件 ------------------\n发件人: a\n旧文", "你好"),
        ("Fine\n\nFrom: a@b.c\nSent: Monday\nTo: x\n\nold", "Fine"),
        ("> Shall we?\nYes\n> And then?\nNo", "> Shall we?\nYes\n> And then?\nNo"),
        ("> only a quotation", "> only a quotation"),
        ("", ""),
    ],
)
def test_what_is_quoted_is_cut(text: str, kept: str) -> None:
    assert without_quotes(text) == kept


@pytest.mark.parametrize("text", ["On x wrote " * 50_000, "On\n" * 50_000, " \n" * 100_000, "From: a\n" * 20_000, "-" * 200_000])
def test_a_text_made_to_take_long_takes_no_time(text: str) -> None:
    assert without_quotes(text) is not None  # minutes, if the patterns of the library saw it


@pytest.mark.parametrize("charset", ["gb2312", "gbk", "nonsense", "utf-8\x00", "", 'iso-8859-1"; x="'])
def test_text_is_read_whatever_its_charset_is_said_to_be(charset: str) -> None:
    head = f"From: a@b.example\r\nContent-Type: text/plain; charset={charset}\r\n\r\n".encode()
    assert read(head + "镕基".encode("gb18030")).text not in ("", "\ufffd")
    assert "\ufffd" in read(head.replace(b"gb", b"xx") + b"\xff\xff").text or charset.startswith("iso")


@pytest.mark.parametrize(
    "content",
    [
        b"From: a@b.example\n" + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(10_000)),
        b"From: a@b.example\n" + b"Content-Type: message/rfc822\n\n" * 10_000 + b"hi",
    ],
)
def test_a_message_nested_ten_thousand_deep_is_kept_as_a_file(content: bytes) -> None:
    found = read(content)
    assert (found.details["unreadable"], [file.name for file in found.files]) == (True, ["message.eml"])


def test_a_message_that_breaks_a_library_is_kept_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_text: str) -> str:
        raise TypeError("a kind of text that was never seen")

    monkeypatch.setattr(mime, "without_quotes", fail)
    content = b"From: ada@customer.example\r\nSubject: My lamp\r\n\r\nIt is broken."
    found = mime.read(content, own_addresses=(), received_at=timezone.now())
    assert (found.text, [file.content for file in found.files], found.details["unreadable"]) == ("My lamp", [content], True)


def test_files_and_html_are_taken() -> None:
    pdf = base64.encodebytes(b"%PDF-1.4 invoice").decode()
    content = (
        "From: =?utf-8?b?5byg5LiJ?= <A@B.example>\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
        "--x\nContent-Type: text/html; charset=utf-8\n\n<style>p{}</style><p>Hi <b>there</b><script>alert(1)</script></p>\n"
        f'--x\nContent-Type: application/pdf; name="../in.pdf"\nContent-Transfer-Encoding: base64\n\n{pdf}\n--x--\n'
    )
    found = read(content.encode())
    assert (found.text, found.sender.name, found.sender.value) == ("Hi there", "张三", "a@b.example")
    assert [(file.name, file.content) for file in found.files] == [("../in.pdf", b"%PDF-1.4 invoice")]


@pytest.mark.parametrize(
    ("content", "status"), [(b"", 422), (b"\xff\xfe\x00", 422), (b"From: nothing\n\nhi", 422), (b"x" * (21 << 20), 413)]
)
def test_what_is_no_message_is_refused_with_a_reason(content: bytes, status: int) -> None:
    answer = post_mail(make_email(), content)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert not Arrival.objects.exists()


def test_a_wrong_secret_is_refused() -> None:
    answer = post_mail(make_email(), mail(), secret="wrong")
    assert (answer.status_code, json_of(answer)["code"]) == (401, "not_authentic")
