"""Groups, agents, presence, the queue and claims over the API."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Member, Tenant, User
from routing.assignment.assigning import assign_waiting
from routing.assignment.queueing import enqueue
from routing.models import Agent, Conversation, SkillGroup
from routing.models import Assignment as Span
from tests.builders import Api, fields_of, json_of, make_tenant
from tests.routing.assignment.builders import make_agent, make_group, make_waiting

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def make_member(tenant: Tenant, name: str) -> User:
    user = User.objects.create(username=name, is_staff=True)
    Member.objects.create(tenant=tenant, user=user, role="operator")
    return user


def test_groups_are_created_changed_and_deleted_with_an_audit_entry_each(api: Api) -> None:
    first = json_of(api.post("/api/skill-groups/", {"name": "billing", "title": "Billing"}))
    made = api.post("/api/skill-groups/", {"name": "vip", "title": "VIPs", "overflow_to": "billing"})
    assert (made.status_code, json_of(made)["overflow_to"]) == (201, "billing")
    assert fields_of(api.post("/api/skill-groups/", {"name": "vip", "title": "Again"})) == ["name"]
    assert fields_of(api.patch(f"/api/skill-groups/{first['id']}/", {"overflow_to": "billing"})) == ["overflow_to"]
    assert fields_of(api.patch(f"/api/skill-groups/{first['id']}/", {"overflow_to": "nowhere"})) == ["overflow_to"]
    assert json_of(api.patch(f"/api/skill-groups/{first['id']}/", {"title": "Invoices"}))["title"] == "Invoices"
    assert api.delete(f"/api/skill-groups/{first['id']}/").status_code == 204
    assert json_of(api.get("/api/skill-groups/"))["results"][0]["overflow_to"] is None
    actions = list(AuditEntry.objects.filter(action__startswith="skill_group").order_by("pk").values_list("action", flat=True))
    assert actions == ["skill_group.create", "skill_group.create", "skill_group.change", "skill_group.delete"]


def test_a_group_that_conversations_wait_for_is_not_deleted(api: Api, tenant: Tenant) -> None:
    group = make_group(tenant, at=timezone.now())
    make_waiting(tenant, group, at=timezone.now())
    answer = api.delete(f"/api/skill-groups/{group.pk}/")
    assert (answer.status_code, json_of(answer)["waiting"]) == (409, 1)
    assert SkillGroup.objects.filter(pk=group.pk).exists()


def test_an_agent_is_a_member_of_the_tenant_with_skills_of_its_groups(api: Api, tenant: Tenant) -> None:
    make_group(tenant, "billing", at=timezone.now())
    make_group(make_tenant("Other"), "secret", at=timezone.now())
    make_member(make_tenant("Third"), "stranger")
    make_member(tenant, "ada")
    assert fields_of(api.post("/api/agents/", {"user": "stranger", "name": "Stranger"})) == ["user"]
    assert fields_of(api.post("/api/agents/", {"user": "ada", "name": "Ada", "skills": [{"group": "secret"}]})) == ["skills[0].group"]
    assert fields_of(api.post("/api/agents/", {"user": "ada", "name": "Ada", "languages": ["en", "?"]})) == ["languages[1]"]
    made = json_of(
        api.post("/api/agents/", {"user": "ada", "name": "Ada", "languages": ["zh"], "skills": [{"group": "billing", "level": 4}]})
    )
    assert made["skills"] == [{"group": "billing", "level": 4}]
    assert (made["presence"], made["load"], made["capacity"]) == ("offline", 0, None)
    assert fields_of(api.post("/api/agents/", {"user": "ada", "name": "Again"})) == ["user"]
    changed = json_of(api.patch(f"/api/agents/{made['id']}/", {"capacity": 7, "skills": []}))
    assert (changed["capacity"], changed["skills"], changed["languages"]) == (7, [], ["zh"])
    assert fields_of(api.patch(f"/api/agents/{made['id']}/", {"user": "bob"})) == ["user"]
    assert api.delete(f"/api/agents/{made['id']}/").status_code == 204


def test_agents_are_found_by_the_name_or_the_id_of_their_user(api: Api, tenant: Tenant) -> None:
    made = {
        name: api.post("/api/agents/", {"user": make_member(tenant, name).username, "name": name}) for name in ("ada", "bo", "70000007")
    }
    assert {answer.status_code for answer in made.values()} == {201}
    stranger = make_agent(make_tenant("Other"), at=timezone.now()).user
    wanted = {"ada": ["ada"], str(User.objects.get(username="bo").pk): ["bo"], "70000007": ["70000007"], "Ada": [], "9" * 40: []}
    for value in (stranger.username, str(stranger.pk)):
        wanted.setdefault(value, [])
    for value, names in wanted.items():
        assert [row["name"] for row in json_of(api.get("/api/agents/", user=value))["results"]] == names, value
    assert fields_of(api.get("/api/agents/", user="")) == ["user"]


def test_an_agent_with_a_record_is_not_deleted_and_no_longer_active_gives_everything_back(
    api: Api, tenant: Tenant, django_capture_on_commit_callbacks: Any
) -> None:
    now = timezone.now()
    agent = make_agent(tenant, at=now)
    asked = make_waiting(tenant, at=now)
    assert api.post(f"/api/conversations/{asked.pk}/claim/", {"agent": str(agent.pk)}).status_code == 200
    assert api.delete(f"/api/agents/{agent.pk}/").status_code == 409
    with django_capture_on_commit_callbacks(execute=True):
        assert api.patch(f"/api/agents/{agent.pk}/", {"is_active": False}).status_code == 200
    asked.refresh_from_db()
    agent.refresh_from_db()
    assert (asked.status, agent.load) == ("queued", 0)


def test_presence_is_reported_kept_up_and_ended(api: Api, tenant: Tenant, django_capture_on_commit_callbacks: Any) -> None:
    agent = make_agent(tenant, at=timezone.now(), presence="offline", present_until=None)
    make_waiting(tenant, at=timezone.now())
    path = f"/api/agents/{agent.pk}/presence/"
    with django_capture_on_commit_callbacks(execute=True):
        answer = json_of(api.put(path, {"presence": "online", "sign": "desk"}))
    assert answer["presence"] == "online"
    assert Agent.objects.get(pk=agent.pk).load == 1
    later = json_of(api.put(path, {"sign": "phone"}))
    assert later["present_until"] > answer["present_until"]
    until = (timezone.now() + timedelta(minutes=30)).isoformat()
    assert json_of(api.put(path, {"presence": "break", "break_until": until}))["presence"] == "break"
    assert fields_of(api.put(path, {"break_until": until})) == ["break_until"]
    assert fields_of(api.put(path, {"presence": "online", "break_until": until})) == ["break_until"]
    assert fields_of(api.put(path, {"presence": "asleep"})) == ["presence"]
    assert json_of(api.put(path, {"presence": "offline"}))["presence"] == "offline"


def test_a_claim_that_loses_is_told_who_has_it(api: Api, tenant: Tenant) -> None:
    now = timezone.now()
    ada, bob = make_agent(tenant, at=now, name="Ada"), make_agent(tenant, at=now, name="Bob")
    asked = make_waiting(tenant, at=now)
    path = f"/api/conversations/{asked.pk}"
    assert json_of(api.post(f"{path}/claim/", {"agent": str(ada.pk)}))["agent"] == "Ada"
    lost = api.post(f"{path}/claim/", {"agent": str(bob.pk)})
    assert (lost.status_code, json_of(lost)["code"], json_of(lost)["owner"]) == (409, "taken", "Ada")
    assert fields_of(api.post(f"{path}/claim/", {"agent": str(asked.pk)})) == ["agent"]
    assert fields_of(api.post(f"{path}/transfer/", {})) == ["agent"]
    assert fields_of(api.post(f"{path}/transfer/", {"group": "nowhere"})) == ["group"]
    assert json_of(api.post(f"{path}/transfer/", {"agent": str(bob.pk), "expected_owner": str(ada.pk)}))["agent"] == "Bob"
    assert json_of(api.post(f"{path}/release/"))["status"] == "queued"
    assert api.post(f"{path}/release/").status_code == 409
    whys = [each["why"] for each in json_of(api.get(f"{path}/assignments/"))]
    assert [why.partition(" by ")[0] for why in whys] == ["Transferred", "Claimed"]


def test_the_queue_tells_what_waits_and_who_could_take_it(api: Api, tenant: Tenant) -> None:
    now = timezone.now()
    group = make_group(tenant, "billing", at=now)
    make_agent(tenant, group, at=now, capacity=3, load=1)
    make_agent(tenant, group, at=now, capacity=1, load=1)
    make_agent(tenant, group, at=now, presence="offline")
    make_waiting(tenant, group, at=now - timedelta(minutes=2))
    make_waiting(tenant, group, at=now)
    queue = json_of(api.get("/api/queue/"))["results"]
    assert [(each["group"], each["waiting"], each["agents_online"], each["agents_free"], each["free_places"]) for each in queue] == [
        ("billing", 2, 2, 1, 2)
    ]


def test_why_an_agent_got_a_conversation_is_said_in_the_callers_language(api: Api, tenant: Tenant) -> None:
    now = timezone.now()
    make_group(tenant, at=now)
    make_agent(tenant, *SkillGroup.objects.all(), at=now)
    asked = make_waiting(tenant, at=now, status="new", intent="refund", confidence=0.2)
    enqueue([asked.pk], now=now)
    api.put(f"/api/agents/{Agent.objects.get().pk}/presence/", {})
    assert assign_waiting(tenant_id=tenant.pk, now=now) == 1
    told = json_of(api.get(f"/api/conversations/{asked.pk}/assignments/"))[0]
    assert told["why"] == (
        "No rule fits, so the fallback group general answers. The intent refund was not sure enough to count. "
        "Only this agent fitted and had room (0 of 5)."
    )
    assert (told["config_version"], told["reason"]["basis"], told["end_cause"]) == (0, "fallback", "")
    assert Span.objects.count() == Conversation.objects.count() == 1


def test_a_skill_without_a_group_is_refused_in_a_change_too(api: Api, tenant: Tenant) -> None:
    agent = make_agent(tenant, at=timezone.now())
    answer = api.patch(f"/api/agents/{agent.pk}/", {"skills": [{}]})
    assert (answer.status_code, fields_of(answer)) == (422, ["skills[0].group"])
