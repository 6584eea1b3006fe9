"""The signed webhook: JSON comes in once, wrong fields are named, replies are posted signed."""

import json
import time
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from routing.conversations import replies
from routing.conversations.replies import Author
from routing.models import Arrival, Conversation, Line
from tests.builders import TESTER, fields_of, json_of
from tests.peers.gateway import Answer
from tests.peers.webhook_receiver import WebhookReceiver
from tests.routing.entrances.builders import HOOK_SECRET, lines_of, make_webhook, post_signed

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]

TEXT = {"id": "m-1", "from": {"id": "u-7", "name": "Ada", "email": "Ada@Example.com"}, "text": "Where is my order?"}


class Receiver(WebhookReceiver):
    """Takes any JSON."""

    posts: list[Any]

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        self.posts = [*getattr(self, "posts", []), (headers, content)]
        return self._script.popleft() if self._script else Answer()


def test_a_text_in_either_language_is_a_line_however_often_it_is_posted() -> None:
    entrance = make_webhook()
    assert [post_signed(entrance, TEXT).status_code for _ in range(5)] == [202] * 5
    post_signed(entrance, {**TEXT, "id": "m-2", "text": "我的订单在哪里?"})
    first, second = lines_of(entrance)
    assert (first.text, second.text) == ("Where is my order?", "我的订单在哪里?")
    assert (first.conversation.identity.kind, first.conversation.identity.value) == ("own", "u-7")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"id": ""}, ["id"]),
        ({"id": "\x00"}, ["id"]),
        ({"id": "m-1\x00"}, ["id"]),
        ({"from": {"id": " "}}, ["from.id"]),
        ({"from": {"id": "erased:u-7"}}, ["from.id"]),
        ({"text": "\x00\u200b"}, ["text"]),
        ({"from": {"name": "Ada"}}, ["from.id"]),
        ({"from": {"id": "u", "email": "nonsense"}}, ["from.email"]),
        ({"text": 7}, ["text"]),
        ({"text": " "}, ["text"]),
        ({"text": "x" * 20_001}, ["text"]),
        ({"files": [{"name": "a", "content": "%"}]}, ["files[0].content"]),
        ({"sent_at": "yesterday"}, ["sent_at"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_each_wrong_field_is_named_and_nothing_is_stored(changes: dict[str, Any], fields: list[str]) -> None:
    answer = post_signed(make_webhook(), {**TEXT, **changes})
    assert (answer.status_code, fields_of(answer)) == (422, fields)
    assert not Arrival.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"id":' * 5_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert post_signed(make_webhook(), body).status_code in (400, 401, 422)
    assert not Arrival.objects.exists()


def test_a_wrong_signature_and_an_old_one_are_refused() -> None:
    entrance = make_webhook()
    assert post_signed(entrance, TEXT, secret="whsec_" + "QUFB" * 11).status_code == 401
    answer = post_signed(entrance, TEXT, at=time.time() - 301)
    assert answer.status_code == 401
    assert "five minutes" in json_of(answer)["detail"]


def replied(line: Line) -> Message:
    row = Conversation.objects.select_related("entrance").get(pk=line.conversation_id)
    made = replies.reply(conversation=row, author=Author(owner="key:x"), text="On its way", by=TESTER, now=timezone.now())
    assert made.message_id
    deliver([made.message_id])
    return Message.objects.get(pk=made.message_id)


def test_a_reply_is_posted_signed_with_the_id_of_its_message() -> None:
    with Receiver() as receiver:
        entrance = make_webhook(reply_url=receiver.url)
        post_signed(entrance, {**TEXT, "thread": "t-1"})
        message = replied(lines_of(entrance)[0])
        ((headers, content),) = receiver.posts
    said = Webhook(HOOK_SECRET).verify(content, headers)
    assert (said["to"], said["text"], said["thread"], said["id"]) == ("u-7", "On its way", "t-1", message.pk.hex)
    assert (message.status, headers["webhook-id"]) == (Status.SENT, message.pk.hex)


def test_without_an_address_a_reply_fails_and_says_why() -> None:
    entrance = make_webhook()
    post_signed(entrance, TEXT)
    message = replied(lines_of(entrance)[0])
    assert (message.status, message.error_code) == (Status.FAILED, "no_reply_url")


@pytest.mark.parametrize("number", ["1e400", "NaN", "-Infinity"])
def test_a_number_that_json_has_not_is_refused_with_the_name_of_its_attribute(number: str) -> None:
    entrance = make_webhook()
    body = json.dumps({**TEXT, "attributes": {"points": "?"}}).replace('"?"', number).encode()
    answer = post_signed(entrance, body)
    assert (answer.status_code, {field.split(".")[1] for field in fields_of(answer)}) == (422, {"points"})
    assert not Arrival.objects.exists()


def test_an_attribute_with_a_number_of_400_digits_is_left_out_and_the_text_is_taken_in() -> None:
    entrance = make_webhook()
    assert post_signed(entrance, json.dumps({**TEXT, "attributes": {"points": 10**400, "level": "gold"}}).encode()).status_code == 202
    (line,) = lines_of(entrance)
    assert list(line.conversation.customer.attributes.values_list("name", flat=True)) == ["level"]
