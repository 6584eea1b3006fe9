"""What the configuration names and what does not exist: told before it is published, and when it stops to exist."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, Member, Tenant, User
from routing import references
from routing.configuration import ServiceLevels, assignment, bot, service_levels
from routing.configuration.assignment_rules import Assignment
from routing.configuration.bot import Bot
from routing.intents import editing
from routing.models import Intent
from tests.builders import TESTER, make_api, make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_entrance

pytestmark = pytest.mark.django_db


def doubted(handle: Any, value: Any, tenant: Tenant | None) -> list[str]:
    return [doubt.field for doubt in handle.doubts(value, tenant.pk if tenant else None)]


def rule(**fields: Any) -> dict[str, Any]:
    return {"name": "Refunds", "skill_group": "orders", **fields}


@pytest.fixture
def desk(tenant: Tenant) -> Tenant:
    make_group(tenant, "orders", at=timezone.now())
    make_entrance(tenant, name="Shop")
    editing.create_intent(tenant_id=tenant.pk, name="refund", by=TESTER, now=timezone.now())
    return tenant


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"rules": [rule(intents=["Refund"], entrances=["shop"], languages=["en", "zh-hans"])]}, []),
        ({"rules": [rule(skill_group="orderz")]}, ["rules[0].skill_group"]),
        ({"rules": [rule(intents=["refund", "refnud"])]}, ["rules[0].intents[1]"]),
        ({"rules": [rule(intents=["refnud"])]}, ["rules[0].name", "rules[0].intents[0]"]),
        ({"rules": [rule(intents=["refnud"], is_enabled=False)]}, []),
        ({"rules": [rule(levels=["gold"], languages=["qq"])]}, ["rules[0].levels[0]", "rules[0].languages[0]"]),
        ({"routes": [{"intent": "x", "skill_group": "y"}]}, ["routes[0].intent", "routes[0].skill_group"]),
        ({"fallback_group": "nowhere"}, ["fallback_group"]),
        ({}, []),
    ],
)
def test_each_name_that_leads_nowhere_is_told_with_its_field(desk: Tenant, values: dict[str, Any], fields: list[str]) -> None:
    value = Assignment.model_validate(values)
    assert doubted(assignment, value, desk) == fields
    assert doubted(assignment, value, None) == fields, "of all tenants together"


def test_what_another_tenant_has_does_not_count(desk: Tenant) -> None:
    value = Assignment.model_validate({"rules": [rule(intents=["refund"])]})
    assert doubted(assignment, value, make_tenant("Other")) == ["rules[0].name", "rules[0].skill_group", "rules[0].intents[0]"]


def test_targets_and_the_bot_are_looked_at_too(desk: Tenant) -> None:
    targets = ServiceLevels.model_validate({"targets": [{"calendar": "night"}, {"type": "rma"}, {"level": "gold"}]})
    assert doubted(service_levels, targets, desk) == ["targets[0].calendar", "targets[1].type", "targets[2].level"]
    details = [{"intent": "order", "name": "number", "question": "Which?"}]
    told = Bot.model_validate({"entrances": ["Shopp"], "hand_over_intents": ["human_please", "angry"], "details": details})
    assert doubted(bot, told, desk) == ["entrances[0]", "hand_over_intents[1]", "details[0].intent"]


def test_the_console_and_the_api_tell_what_exists_and_publish_all_the_same(desk: Tenant, client: Client) -> None:
    api, content = make_api(desk), {"rules": [rule(skill_group="orderz")]}
    place = "/api/config/modules/assignment/override/"
    checked = api.post(f"{place}validate/", {"content": content}).json()["warnings"]
    assert [(each["field"], each["code"]) for each in checked] == [("rules[0].skill_group", "does_not_exist")]
    assert "There are: orders." in checked[0]["message"]
    assert api.put(f"{place}draft/", {"content": content, "based_on": 0}).json()["warnings"] == checked
    owner = User.objects.create(username="olga", is_staff=True)
    Member.objects.create(tenant=desk, user=owner, role="owner")
    client.force_login(owner)
    page = client.get(f"/config/modules/assignment/publish/?tenant={desk.slug}").content.decode()
    assert "Rules › Refunds › Skill group: There is no skill group “orderz”." in page
    published = api.post(f"{place}publish/", {"content": content})
    assert (published.status_code, published.json()["warnings"]) == (201, checked)


def test_deleting_an_intent_says_which_rules_never_apply_without_it(desk: Tenant, client: Client) -> None:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    intent = Intent.objects.get()
    with assignment.set(rules=[rule(intents=["refund"]), rule(name="All", intents=["refund", "x"])]):
        page = client.get(f"/admin/routing/intent/{intent.pk}/delete/").content.decode()
        assert "The rule “Refunds” never applies any more." in page
        assert "The rule “All” names it." in page
        editing.create_intent(tenant_id=desk.pk, name="other", by=TESTER, now=timezone.now())
        assert references.dead_rules([desk.pk]) == set()
        editing.delete_intent(intent=intent, by=TESTER)
        assert references.dead_rules([desk.pk]) == {"Refunds", "All"}
    assert len(AuditEntry.objects.get(action="intent.delete").detail["named_by"]) == 2
