"""What agents decide about a conversation, over the API."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from routing.models import Conversation, Note, Notice
from tests.builders import Api, fields_of, json_of, make_api, make_tenant
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_conversation, make_identity
from tests.routing.conversations.builders import make_asked

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def here(conversation: Conversation, part: str = "") -> str:
    return f"/api/conversations/{conversation.pk}/{part}"


def test_a_note_is_written_once_and_tells_who_is_mentioned(api: Api, tenant: Tenant) -> None:
    talk, agent = make_asked(tenant), make_agent(tenant, make_group(tenant, at=timezone.now()), at=timezone.now())
    body = {"text": "Call back", "mentions": [str(agent.pk)], "client_id": "n1"}
    first, second = (json_of(api.post(here(talk, "notes/"), body)) for _ in "ab")
    assert (first["id"], Note.objects.count(), Notice.objects.filter(agent=agent).count()) == (second["id"], 1, 1)
    assert [note["text"] for note in json_of(api.get(here(talk, "notes/")))] == ["Call back"]
    assert json_of(api.post(here(talk, "notes/"), {"text": "x", "agent": agent.user.username}))["agent"]["id"] == str(agent.pk)
    refused = api.post(here(talk, "notes/"), {"text": "x", "agent": str(talk.pk)})
    assert [(one["field"], one["code"]) for one in json_of(refused)["errors"]] == [("agent", "does_not_exist")]


def test_tags_priority_and_snooze_are_set_and_shown(api: Api, tenant: Tenant) -> None:
    talk, until = make_asked(tenant), (timezone.now() + timedelta(days=1)).isoformat()
    assert json_of(api.post(here(talk, "tags/"), {"add": ["vip", " two  words"]}))["tags"] == ["two words", "vip"]
    assert json_of(api.post(here(talk, "tags/"), {"remove": ["vip"]}))["tags"] == ["two words"]
    assert [len(json_of(api.get("/api/conversations/", tag=name))["results"]) for name in ("two words", "vip")] == [1, 0]
    assert json_of(api.post(here(talk, "priority/"), {"priority": 8}))["priority"] == 8
    assert fields_of(api.post(here(talk, "priority/"), {"priority": 11})) == ["priority"]
    assert json_of(api.post(here(talk, "snooze/"), {"until": until}))["snoozed_until"]
    assert fields_of(api.post(here(talk, "snooze/"), {"until": "2020-01-01T00:00:00Z"})) == ["until"]
    assert json_of(api.post(here(talk, "snooze/"), {"until": None}))["snoozed_until"] is None


def test_a_conversation_is_closed_reopened_and_marked_as_spam(api: Api, tenant: Tenant) -> None:
    talk, agent = make_asked(tenant), make_agent(tenant, at=timezone.now())
    assert json_of(api.post(here(talk, "close/")))["status"] == "closed"
    assert api.post(here(talk, "close/")).status_code == 409
    reopened = json_of(api.post(here(talk, "reopen/"), {"agent": agent.user.username}))
    assert (reopened["status"], reopened["agent"]["id"]) == ("assigned", str(agent.pk))
    assert json_of(api.post(here(talk, "spam/")))["status"] == "spam"
    assert AuditEntry.objects.filter(action__in=["conversation.close", "conversation.reopen", "conversation.spam"]).count() == 3


def test_conversations_of_a_customer_are_merged_and_parted_again(api: Api, tenant: Tenant) -> None:
    talk = make_asked(tenant)
    other, stranger = make_conversation(make_identity(talk.customer)), make_asked(tenant)
    assert json_of(api.post(here(other, "merge/"), {"into": str(stranger.pk)}))["code"] == "not_mergeable"
    assert json_of(api.post(here(other, "merge/"), {"into": str(talk.pk)}))["id"] == str(talk.pk)
    assert json_of(api.get(here(other)))["merged_into"] == str(talk.pk)
    assert json_of(api.post(here(other, "unmerge/")))["status"] == "queued"
    assert fields_of(make_api(tenant).post(here(other, "merge/"), {"into": str(make_asked(make_tenant("Other")).pk)})) == ["into"]


def test_of_a_conversation_with_others_only_notes_and_its_end_are_decided(api: Api, tenant: Tenant) -> None:
    talk = make_asked(tenant)
    side = make_conversation(make_identity(talk.customer), parent=talk, status="assigned")
    assert [api.post(here(side, f"{part}/"), body).status_code for part, body in (("tags", {"add": ["a"]}), ("spam", {}))] == [409, 409]
    assert json_of(api.get(here(side)))["about"] == str(talk.pk)
    assert [api.post(here(side, part), body).status_code for part, body in (("notes/", {"text": "a"}), ("close/", {}))] == [201, 200]
