"""The inbox: which conversations are where, who sees them, and how many questions that costs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Tenant
from accounts.roles import Role
from posthaste.lib.ids import new_id
from routing.models import Clock, Conversation, ConversationStatus, Line, Tag
from tests.builders import make_tenant
from tests.routing.assignment.builders import make_group
from tests.routing.builders import make_customer, make_identity
from tests.routing.desk.builders import Desk, ask, hold, make_desk, make_staff
from tests.routing.satisfaction.builders import make_rating

pytestmark = pytest.mark.django_db


def ids(desk: Desk, view: str = "team", **query: str) -> list[str]:
    found: list[str] = desk.read("inbox/", view=view, **query)["ids"]
    return found


def breach(conversation: Conversation) -> None:
    now = timezone.now()
    Clock.objects.create(
        tenant_id=conversation.tenant_id, conversation=conversation, metric="first_response", target_minutes=1, started_at=now,
        due_at=now, warned_at=now, breached_at=now,
    )  # fmt: skip


@pytest.mark.both_stacks
def test_each_view_has_its_conversations_and_the_numbers_say_so(tenant: Tenant) -> None:
    now = timezone.now()
    group = make_group(tenant, at=now)
    mei, tom = make_desk(tenant, group), make_desk(tenant, group)
    mine, answered, asleep, other = (hold(ask(tenant, group), desk.agent) for desk in (mei, mei, mei, tom))
    Conversation.objects.filter(pk=answered.pk).update(unanswered_since=None)
    Conversation.objects.filter(pk=asleep.pk).update(snoozed_until=now + timedelta(hours=1))
    waits, done = ask(tenant, group), ask(tenant, group)
    Conversation.objects.filter(pk=done.pk).update(status=ConversationStatus.RESOLVED)
    side = hold(ask(tenant, group), None)
    Conversation.objects.filter(pk=side.pk).update(parent=mine)
    breach(other)

    found = {view: set(ids(mei, view)) for view in ("mine", "team", "unassigned", "waiting", "breaching", "snoozed", "all", "resolved")}

    expected = {
        "mine": {mine, answered}, "team": {mine, answered, other, waits}, "unassigned": {waits}, "waiting": {answered},
        "breaching": {other}, "snoozed": {asleep}, "all": {mine, answered, asleep, other, waits}, "resolved": {done},
    }  # fmt: skip
    assert found == {view: {str(each.pk) for each in own} for view, own in expected.items()}
    counted = mei.read("inbox/")["counts"]
    assert counted == {view: len(expected[view]) for view in counted}


def test_agents_see_their_groups_and_theirs_and_operators_see_all(tenant: Tenant) -> None:
    now = timezone.now()
    orders, billing = make_group(tenant, "orders", at=now), make_group(tenant, "billing", at=now)
    mei, boss = make_desk(tenant, orders), Desk(make_staff(tenant, Role.OPERATOR))
    own, foreign, unrouted = ask(tenant, orders), ask(tenant, billing), ask(tenant)
    given = hold(ask(tenant, billing), mei.agent)
    assert set(ids(mei, "all")) == {str(each.pk) for each in (own, unrouted, given)}
    assert set(ids(boss, "all")) == {str(each.pk) for each in (own, foreign, unrouted, given)}
    assert mei.get(f"c/{foreign.pk}/").status_code == 404
    assert mei.read("rows/", ids=f"{foreign.pk},{own.pk}")["rows"][0]["id"] == str(own.pk)
    assert boss.read(f"c/{foreign.pk}/")["row"]["group"]["title"] == "Billing"
    assert boss.refused(own, "reply", text="Hi")["code"] == "not_an_agent"


def test_a_member_who_is_no_agent_and_a_stranger_see_nothing(tenant: Tenant) -> None:
    answer = Desk(make_staff(tenant, Role.AUTHOR)).get("inbox/")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_an_agent")
    desk = make_desk(tenant)
    desk.client.logout()
    assert (desk.get("inbox/").status_code, desk.get("inbox/").json()["code"]) == (401, "signed_out")


def test_what_the_customer_said_of_it_stands_beside_the_conversation(tenant: Tenant) -> None:
    desk = make_desk(tenant)
    conversation = hold(ask(tenant), desk.agent)
    make_rating(conversation, score=None, answered_at=None, agent=desk.agent)
    assert desk.read(f"c/{conversation.pk}/")["ratings"] == []
    now = timezone.now()
    make_rating(conversation, score=2, comment="Slow", resolved_at=now, answered_at=now, agent=desk.agent)
    (told,) = desk.read(f"c/{conversation.pk}/")["ratings"]
    assert (told["score"], told["comment"], told["agent"]) == (2, "Slow", desk.agent and desk.agent.name)


def test_another_tenants_conversations_are_nowhere(tenant: Tenant) -> None:
    foreign = ask(make_tenant("Other"))
    boss = make_desk(tenant, role=Role.OWNER)
    assert ids(boss, "all") == []
    assert boss.read("rows/", ids=str(foreign.pk))["rows"] == []
    for path in (f"c/{foreign.pk}/", f"c/{foreign.pk}/lines/?after=0"):
        assert boss.get(path).status_code == 404
    assert boss.post(f"c/{foreign.pk}/claim/").status_code == 404
    assert boss.get("inbox/", tenant=str(foreign.tenant_id)).status_code == 403


@pytest.mark.both_stacks
def test_a_search_finds_names_subjects_texts_and_exact_identities(tenant: Tenant) -> None:
    desk = make_desk(tenant, role=Role.OPERATOR)
    customer = make_customer(tenant, name="王小明")
    make_identity(customer, value="c-1001")
    found = ask(tenant, customer=customer, text="My Lamp is broken", subject="Lamp of room 7")
    ask(tenant, text="Something else")
    for text in ("小明", "lamp IS", "room 7", "c-1001"):
        assert ids(desk, "all", q=text) == [str(found.pk)], text
    assert ids(desk, "all", q="c-100") == []
    Conversation.objects.filter(pk=found.pk).update(status=ConversationStatus.CLOSED)
    assert (ids(desk, "all", q="lamp"), ids(desk, "team", q="lamp"), ids(desk, "resolved", q="lamp")) == (
        [str(found.pk)],
        [],
        [str(found.pk)],
    )


def test_filters_narrow_and_wrong_ones_are_named(tenant: Tenant) -> None:
    desk = make_desk(tenant, role=Role.OPERATOR)
    found = ask(tenant, intent="refund_status", language="zh-hans", priority=9)
    found.tags.add(Tag.objects.create(tenant=tenant, name="urgent", created_at=timezone.now()))
    ask(tenant)
    for name, value in {
        "intent": "refund_status",
        "language": "zh",
        "priority": "9",
        "tag": "urgent",
        "entrance": str(found.entrance_id),
    }.items():
        assert ids(desk, "all", **{name: value}) == [str(found.pk)], name
    answer = desk.get("inbox/", view="wrong", agent="x", priority="11")
    assert {error["field"] for error in answer.json()["errors"]} == {"view", "agent", "priority"}


def test_the_longest_waiting_comes_first_or_the_newest_or_what_is_due(tenant: Tenant) -> None:
    desk, now = make_desk(tenant, role=Role.OPERATOR), timezone.now()
    old, new = ask(tenant), ask(tenant)
    Conversation.objects.filter(pk=old.pk).update(unanswered_since=now - timedelta(hours=1), customer_wrote_at=now - timedelta(hours=1))
    breach(new)
    assert ids(desk, "all") == [str(old.pk), str(new.pk)]
    assert ids(desk, "all", sort="newest") == ids(desk, "all", sort="due") == [str(new.pk), str(old.pk)]


def test_a_hundred_rows_cost_as_many_questions_as_one(tenant: Tenant, django_assert_max_num_queries: object) -> None:
    desk = make_desk(tenant, role=Role.OPERATOR)
    first = ask(tenant)
    rows = [
        Conversation(
            id=new_id(), tenant=tenant, customer=first.customer, entrance=first.entrance, identity=first.identity, thread=str(n),
            status=ConversationStatus.QUEUED, last_seq=1, created_at=timezone.now(), unanswered_since=timezone.now(),
        )
        for n in range(99)
    ]  # fmt: skip
    Conversation.objects.bulk_create(rows)
    Line.objects.bulk_create(
        Line(tenant=tenant, conversation=row, seq=1, author="customer", text="Hello", created_at=timezone.now()) for row in rows
    )
    counted = []
    for wanted in ([first], [first, *rows]):
        with django_assert_max_num_queries(20) as asked:  # type: ignore[operator]
            shown = desk.read("rows/", ids=",".join(str(each.pk) for each in wanted))["rows"]
        assert [row["id"] for row in shown] == [str(each.pk) for each in wanted]
        counted.append(len(asked))
    assert counted[0] == counted[1]
    with django_assert_max_num_queries(10):  # type: ignore[operator]
        assert len(ids(desk, "all")) == 100
