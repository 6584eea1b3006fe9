"""Many conversations at once: intents, and merges with what they would do."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from accounts.roles import Role
from routing.models import Conversation, EntranceKind, Intent
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_customer, make_entrance
from tests.routing.desk.builders import Desk, ask, hold, make_desk

pytestmark = pytest.mark.django_db


@pytest.fixture
def mei(tenant: Tenant) -> Desk:
    return make_desk(tenant, make_group(tenant, at=timezone.now()), role=Role.OPERATOR)


def ids(*conversations: Conversation) -> list[str]:
    return [str(each.pk) for each in conversations]


def plan(desk: Desk, *conversations: Conversation) -> Any:
    return desk.get("bulk/merge/", ids=",".join(ids(*conversations)))


def test_the_intent_of_many_is_corrected_by_the_first_line_of_each(tenant: Tenant, mei: Desk) -> None:
    Intent.objects.create(tenant=tenant, name="refund", title="Refund", created_at=timezone.now())
    first, second = ask(tenant, text="My money, please"), ask(tenant, text="Pay me back")
    told = mei.post("bulk/", action="intent", ids=ids(first, second), parameters={"intent": "refund"}).json()
    assert (told["done"], told["refused"]) == (ids(first, second), [])
    assert set(Conversation.objects.values_list("intent", "confidence")) == {("refund", 1.0)}
    refused = mei.post("bulk/", action="intent", ids=ids(first), parameters={"intent": "refund", "seq": 1})
    assert refused.status_code == 422, "a number of a line says something of one conversation only"


@pytest.mark.both_stacks
def test_a_plan_says_which_one_goes_on_and_the_merge_does_that(tenant: Tenant, mei: Desk) -> None:
    ada = make_customer(tenant, name="Ada")
    mail = make_entrance(tenant, EntranceKind.EMAIL)
    now = timezone.now()
    newer, oldest = ask(tenant, customer=ada), ask(tenant, customer=ada, entrance=mail)
    Conversation.objects.filter(pk=oldest.pk).update(created_at=now - timedelta(days=2))
    over = hold(ask(tenant, customer=ada), mei.agent)
    mei.do(over, "close")
    told = plan(mei, newer, oldest, over).json()
    assert (told["into"]["id"], [row["id"] for row in told["merged"]]) == (str(oldest.pk), ids(newer))
    assert told["replies_to"]
    assert oldest.identity.value not in told["replies_to"], "it is masked"
    assert [(each["id"], each["detail"]) for each in told["refused"]] == [
        (str(over.pk), "Only open conversations are merged. Reopen it first.")
    ]
    assert not Conversation.objects.exclude(merged_into=None).exists(), "a plan changes nothing"
    done = mei.post("bulk/", action="merge", ids=ids(newer, over), parameters={"into": told["into"]["id"]}).json()
    assert (done["done"], [each["id"] for each in done["refused"]]) == (ids(newer), ids(over))
    newer.refresh_from_db()
    assert newer.merged_into_id == oldest.pk
    assert mei.post("bulk/", action="unmerge", ids=ids(newer)).json()["done"] == ids(newer)
    assert Conversation.objects.filter(pk=newer.pk, merged_into=None, status__in=["queued", "assigned"]).exists()


def test_a_merge_that_makes_no_sense_is_refused_with_the_reason(tenant: Tenant, mei: Desk) -> None:
    ada, bob = ask(tenant), ask(tenant)
    problem = plan(mei, ada, bob).json()
    assert (problem["code"], "Merge the customers first" in problem["detail"]) == ("not_mergeable", True)
    assert "at least" in plan(mei, ada).json()["detail"]
    assert plan(make_desk(tenant), hold(ada, mei.agent), bob).status_code == 409, "what one may not read is not planned"
