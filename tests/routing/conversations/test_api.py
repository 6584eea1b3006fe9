"""Conversations over the API."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from posthaste.lib.ids import new_id
from routing.conversations import lines
from routing.entrances.provision import ensure_reply_provider
from routing.models import (
    Agent,
    Arrival,
    ArrivalState,
    AuthorKind,
    Conversation,
    ConversationStatus,
    Draft,
    IdentityKind,
    Intent,
    Utterance,
)
from routing.scopes import CONVERSATIONS_READ, CONVERSATIONS_WRITE
from tests.builders import TESTER, Api, fields_of, json_of, make_api, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.conversations.builders import FORMS

pytestmark = pytest.mark.django_db

ADDRESS = "ada@example.com"


@pytest.fixture
def conversation(django_user_model: Any) -> Conversation:
    tenant = make_tenant()
    ensure_reply_provider(tenant_id=tenant.pk, by=TESTER)
    made = make_conversation(make_identity(make_customer(tenant), IdentityKind.EMAIL, value=ADDRESS), status=ConversationStatus.QUEUED)
    for text in ("Where is my order?", "It is late."):
        lines.append(made, author=AuthorKind.CUSTOMER, text=text, now=timezone.now())
    Agent.objects.create(tenant=tenant, user=django_user_model.objects.create_user("bo"), name="Bo", created_at=timezone.now())
    return made


@pytest.fixture
def api(conversation: Conversation) -> Api:
    return make_api(conversation.tenant)


def address(conversation: Conversation, rest: str = "") -> str:
    return f"/api/conversations/{conversation.pk}/{rest}"


def test_a_list_masks_whom_it_is_about_and_one_conversation_does_not(api: Api, conversation: Conversation) -> None:
    (listed,) = json_of(api.get("/api/conversations/"))["results"]
    assert listed["identity"]["value"] == "a***@example.com"
    assert ADDRESS not in str(listed)
    assert json_of(api.get(address(conversation)))["identity"]["value"] == ADDRESS


def test_conversations_are_filtered(api: Api, conversation: Conversation) -> None:
    make_conversation(make_identity(make_customer(conversation.tenant)), intent="refund")

    def found(**query: Any) -> int:
        return len(json_of(api.get("/api/conversations/", **query))["results"])

    assert found() == 2
    assert found(status="queued") == found(intent="refund") == found(customer=conversation.customer_id) == 1
    assert found(entrance=conversation.entrance_id, status="new") == found(agent=new_id()) == found(group="none") == 0


def test_a_list_needs_as_many_queries_for_many_as_for_one(api: Api, conversation: Conversation) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert api.get("/api/conversations/").status_code == 200
        return len(asked)

    api.get("/api/conversations/")
    one = queries()
    for _ in range(5):
        make_conversation(make_identity(make_customer(conversation.tenant)))
    assert queries() == one


def test_lines_are_read_from_a_number_on(api: Api, conversation: Conversation) -> None:
    answer = json_of(api.get(address(conversation, "lines/"), after_seq=1))
    assert [(line["seq"], line["text"]) for line in answer["results"]] == [(2, "It is late.")]
    assert answer["last_seq"] == 2


def test_a_reply_of_an_agent_has_a_trace_and_happens_once(api: Api, conversation: Conversation) -> None:
    agent = Agent.objects.get()
    Draft.objects.create(agent=agent, conversation=conversation, text="On its", changed_at=timezone.now())
    body = {"text": "On its way.", "client_id": "r1", "agent": str(agent.pk), "seen_seq": 2}
    answers = [api.post(address(conversation, "reply/"), body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    line = json_of(answers[0])
    assert (line["seq"], line["author"], line["agent"]["name"]) == (3, "agent", "Bo")
    assert {json_of(answer)["id"] for answer in answers} == {line["id"]}
    trace = json_of(api.get(f"/api/messages/{line['message_id']}/trace/"))
    assert trace["trace_id"] == line["trace_id"]
    message = json_of(api.get(f"/api/messages/{line['message_id']}/"))
    assert (message["channel"], message["recipient"]) == ("desk", ADDRESS)
    assert not Draft.objects.exists(), "it went with the reply"


def test_a_reply_that_another_has_given_is_refused(api: Api, conversation: Conversation) -> None:
    api.post(address(conversation, "reply/"), {"text": "On its way."})
    refused = api.post(address(conversation, "reply/"), {"text": "On its way!", "seen_seq": 2})
    assert (refused.status_code, json_of(refused)["code"]) == (409, "answered_meanwhile")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": "x" * 20_001}, "text"),
        ({"text": "x", "agent": "0192f0c1-a2b3-7c4d-8e9f-001122334455"}, "agent"),
        ({"text": "x", "files": ["0192f0c1-a2b3-7c4d-8e9f-001122334455"]}, "files[0]"),
        ({"text": "x", "html": "<b>"}, "html"),
        ({"text": 5}, "text"),
    ],
)
def test_a_wrong_reply_names_its_field_and_stores_nothing(api: Api, conversation: Conversation, body: Any, field: str) -> None:
    assert fields_of(api.post(address(conversation, "reply/"), body)) == [field]
    conversation.refresh_from_db()
    assert conversation.last_seq == 2


def test_a_file_is_uploaded_sent_and_downloaded(api: Api, conversation: Conversation) -> None:
    headers = {"Authorization": f"Bearer {api.key}"}
    uploaded = api.client.post("/api/attachments/", {"file": SimpleUploadedFile("plan.html", b"<html>hi</html>")}, headers=headers)
    assert uploaded.status_code == 201, uploaded.content
    file = json_of(uploaded)
    assert (file["name"], file["type"]) == ("plan.html", "application/octet-stream")
    line = json_of(api.post(address(conversation, "reply/"), {"files": [file["id"]]}))
    assert [each["id"] for each in line["files"]] == [file["id"]]

    response = api.get(f"/api/attachments/{file['id']}/")

    assert response.content == b"<html>hi</html>"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert make_api(make_tenant()).get(f"/api/attachments/{file['id']}/").status_code == 404


@pytest.mark.parametrize(("kind", "body", "code"), FORMS)
def test_a_form_without_the_file_is_refused_with_its_field_and_what_to_do(api: Api, kind: str, body: bytes, code: str) -> None:
    response = api.post("/api/attachments/", body, content_type=kind)
    (error,) = json_of(response)["errors"]
    assert (response.status_code, error["field"], error["code"]) == (422, "file", code)


def test_a_resolved_conversation_cannot_be_resolved_again(api: Api, conversation: Conversation) -> None:
    assert json_of(api.post(address(conversation, "resolve/")))["status"] == "resolved"
    assert api.post(address(conversation, "resolve/")).status_code == 409
    assert AuditEntry.objects.filter(action="conversation.resolve", tenant_id=conversation.tenant_id).count() == 1


def test_a_corrected_intent_is_kept_and_suggested(api: Api, conversation: Conversation) -> None:
    Intent.objects.create(tenant=conversation.tenant, name="order_status", title="Order", created_at=timezone.now())
    assert fields_of(api.post(address(conversation, "intent/"), {"intent": "nothing"})) == ["intent"]
    assert json_of(api.post(address(conversation, "intent/"), {"intent": "order_status", "seq": 2}))["intent"] == "order_status"
    assert Utterance.objects.get().text == "It is late."


def test_reading_and_typing_are_told(api: Api, conversation: Conversation) -> None:
    assert api.post(address(conversation, "read/"), {"seq": 2}).status_code == 204
    assert api.post(address(conversation, "typing/"), {}).status_code == 204
    conversation.refresh_from_db()
    assert conversation.agent_read_seq == 2


def test_a_key_that_may_only_write_reads_nothing(conversation: Conversation) -> None:
    writer, reader = make_api(conversation.tenant, CONVERSATIONS_WRITE), make_api(conversation.tenant, CONVERSATIONS_READ)
    answer = writer.post(address(conversation, "reply/"), {"text": "Hi"})
    assert sorted(json_of(answer)) == ["id", "message_id", "seq", "trace_id"]
    assert writer.get("/api/conversations/").status_code == 403
    assert reader.post(address(conversation, "reply/"), {"text": "Hi"}).status_code == 403


def test_a_failed_arrival_is_shown_and_tried_again() -> None:
    entrance = make_entrance()
    arrival = Arrival.objects.create(
        tenant=entrance.tenant,
        entrance=entrance,
        external_id="m-1",
        sender=f"email:{ADDRESS}",
        body={},
        state=ArrivalState.FAILED,
        error="ValueError: no good",
        received_at=timezone.now(),
    )
    api = make_api(entrance.tenant)
    (listed,) = json_of(api.get("/api/arrivals/", state="failed"))["results"]
    assert (listed["error"], listed["sender"]) == ("ValueError: no good", "email:a***@example.com")
    assert api.post(f"/api/arrivals/{arrival.pk}/retry/").status_code == 204
    assert api.post(f"/api/arrivals/{arrival.pk}/retry/").status_code == 409
