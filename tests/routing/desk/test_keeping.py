"""What agents keep at the desk, and what is done with many conversations."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from accounts.roles import Role
from posthaste.lib.ids import first_id_at
from routing.desk import cleaning
from routing.models import Conversation, Draft, Identity, Line, Notice, Presence, QuickReply, SavedFilter
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import Desk, ask, hold, make_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def mei(tenant: Tenant) -> Desk:
    return make_desk(tenant, make_group(tenant, at=timezone.now()))


def make_quick_reply(tenant: Tenant, **fields: Any) -> QuickReply:
    now = timezone.now()
    return QuickReply.objects.create(tenant=tenant, created_at=now, changed_at=now, **{"title": fields["shortcut"], **fields})


@pytest.mark.both_stacks
def test_one_that_cannot_be_done_stops_no_other(tenant: Tenant, mei: Desk) -> None:
    good, done, other = ask(tenant), ask(tenant), ask(tenant, make_group(tenant, "billing", at=timezone.now()))
    Conversation.objects.filter(pk=done.pk).update(status="resolved")
    answer = mei.post("bulk/", action="resolve", ids=[str(each.pk) for each in (done, good, other)]).json()
    assert answer["done"] == [str(good.pk)]
    assert [one["id"] for one in answer["refused"]] == [str(done.pk), str(other.pk)]
    assert all(one["detail"] for one in answer["refused"])
    assert mei.post("bulk/", action="tags", ids=[str(good.pk)], parameters={"add": ["x"]}).json()["done"] == [str(good.pk)]
    for wrong in ({"action": "dance"}, {"action": "priority"}, {"action": "resolve", "ids": []}):
        assert mei.post("bulk/", **{"ids": [str(good.pk)], **wrong}).status_code == 422


def test_quick_replies_of_all_and_of_ones_groups_are_filled_in(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant, language="zh"), mei.agent)
    billing = make_group(tenant, "billing", at=timezone.now())
    make_quick_reply(tenant, shortcut="bye", text="Bye {{ customer.name }}, {{ agent.name }}", language="en")
    hello = make_quick_reply(tenant, shortcut="hello", text='Hi {{ ticket.number | default: "you" }}')
    make_quick_reply(tenant, shortcut="pay", text="Pay", group=billing)
    make_quick_reply(make_tenant("Other"), shortcut="theirs", text="Theirs")
    found = mei.read("quick-replies/", conversation=str(conversation.pk))["quick_replies"]
    assert [(one["shortcut"], one["text"]) for one in found] == [("hello", "Hi you"), ("bye", f"Bye Ada, {mei.agent and mei.agent.name}")]
    assert mei.post(f"quick-replies/{hello.pk}/used/").status_code == 200
    hello.refresh_from_db()
    assert hello.uses == 1


def test_filters_are_ones_own_or_of_all(tenant: Tenant, mei: Desk) -> None:
    boss = make_desk(tenant, role=Role.OPERATOR)
    own = mei.post("filters/", name="Late", query={"view": "breaching", "sort": "due"}).json()["filter"]
    common = boss.post("filters/", name="Refunds", query={"intent": "refund"}, for_all=True).json()["filter"]
    assert [one["name"] for one in mei.read("filters/")["filters"]] == ["Late", "Refunds"]
    assert [one["name"] for one in boss.read("filters/")["filters"]] == ["Refunds"]
    assert mei.post("filters/", name="All", query={}, for_all=True).status_code == 403
    assert mei.post("filters/", name="Late", query={}).json()["errors"][0]["field"] == "name"
    assert mei.post("filters/", name="Wrong", query={"view": "x"}).json()["errors"][0]["field"] == "view"
    assert mei.client.delete(f"/desk/data/filters/{common['id']}/").status_code == 403
    assert mei.client.delete(f"/desk/data/filters/{own['id']}/").status_code == 200
    assert SavedFilter.objects.count() == 1


@pytest.mark.both_stacks
def test_a_file_is_uploaded_and_sent_by_the_agent_only(tenant: Tenant, mei: Desk) -> None:
    conversation = hold(ask(tenant), mei.agent)
    other = make_desk(tenant, role=Role.OPERATOR)
    sent = mei.client.post("/desk/data/files/", {"file": SimpleUploadedFile("a.png", b"\x89PNG\r\n\x1a\n" + b"0" * 20)})
    assert sent.status_code == 201
    assert other.refused(conversation, "reply", files=[sent.json()["id"]])["errors"][0]["field"] == "files[0]"
    assert mei.get(f"files/{sent.json()['id']}/").status_code == 404
    (shown,) = mei.do(conversation, "reply", files=[sent.json()["id"]])["line"]["files"]
    assert (shown["name"], Line.objects.filter(attachments__isnull=False).count()) == ("a.png", 1)
    assert mei.client.post("/desk/data/files/", {}).status_code == 422


def test_presence_is_set_at_the_desk(tenant: Tenant, mei: Desk) -> None:
    assert mei.post("presence/", presence="break").json()["agent"]["presence"] == Presence.BREAK
    assert mei.read("me/")["agent"]["presence"] == "break"
    assert mei.post("presence/", presence="asleep").json()["errors"][0]["field"] == "presence"


def test_an_export_masks_identities_unless_an_operator_asks(tenant: Tenant, mei: Desk) -> None:
    boss = make_desk(tenant, role=Role.OPERATOR)
    conversation = ask(tenant)
    Identity.objects.filter(pk=conversation.identity_id).update(kind="email", value="ada@example.com")
    text = b"".join(mei.get("export/", view="all").streaming_content).decode()
    assert (str(conversation.pk) in text, "ada@example.com" in text) == (True, False)
    assert mei.get("export/", view="all", identities="whole").status_code == 403
    assert "ada@example.com" in b"".join(boss.get("export/", view="all", identities="whole").streaming_content).decode()
    assert AuditEntry.objects.filter(action="list.export").count() == 2


def test_old_notices_and_drafts_are_removed(tenant: Tenant, mei: Desk) -> None:
    assert mei.agent
    conversation, now = ask(tenant), timezone.now()
    for days, is_read in ((100, False), (20, True), (20, False), (1, True)):
        at = now - timedelta(days=days)
        pk, read_at = UUID(int=first_id_at(at).int + is_read), at if is_read else None
        Notice.objects.create(
            id=pk, agent=mei.agent, kind="mention", conversation=conversation, about=f"{days}{is_read}", at=at, read_at=read_at
        )
    Draft.objects.create(agent=mei.agent, conversation=conversation, text="x", changed_at=now - timedelta(days=91))
    assert cleaning.remove_old(now=now) == 3
    assert Notice.objects.count() == 2
