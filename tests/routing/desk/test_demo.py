"""The demo's agents sit at a desk that has work on it, however often the demo is loaded."""

import pytest
from django.utils import timezone

from accounts.models import Tenant
from accounts.services.demo import load_agents
from messaging.models import Message
from routing.demo.desk import AGENTS, sit_down
from routing.demo.inbox import TALKS, load_inbox
from routing.models import Agent, Conversation, EntranceKind, Line
from tests.builders import untraced
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_entrance
from tests.routing.desk.builders import Desk

pytestmark = pytest.mark.django_db(transaction=True)


def test_each_agent_is_there_and_has_conversations_in_hand(tenant: Tenant) -> None:
    now = timezone.now()
    mailbox = make_entrance(tenant, EntranceKind.EMAIL, settings={"address": "help@lamplight.example"})
    groups = {name: make_group(tenant, name, at=now) for name in ("general", "orders", "billing", "technical")}
    agents = {place.name: make_agent(tenant, at=now, name=place.name, presence="offline", capacity=place.capacity) for place in AGENTS}
    for _time in range(2):
        with untraced() as by:
            load_inbox(entrance=mailbox, agents=agents, groups=groups, now=now)
            sit_down(agents, by, now)
    for place in AGENTS:
        agent = Agent.objects.select_related("user").get(name=place.name)
        desk, own = Desk(agent.user, agent), [talk for talk in TALKS if talk.agent == place.name]
        rows = desk.read("rows/", ids=",".join(desk.read("inbox/", view="mine")["ids"]))["rows"]
        assert sorted(row["subject"] for row in rows) == sorted(talk.subject for talk in own if not talk.snoozed_hours)
        assert (agent.load, desk.read("me/")["agent"]["presence"]) == (len(own), place.presence)
    assert Conversation.objects.count() == len(TALKS)
    (message,) = Message.objects.all()
    assert Line.objects.get(message_id=message.pk).text.startswith("We do, in three sizes"), "one reply has a trace to look at"


def test_the_demos_agents_sign_in_as_its_administrator_does(tenant: Tenant) -> None:
    boss = make_agent(tenant, at=timezone.now()).user
    boss.memberships.update(role="owner")
    boss.set_password("lamplight")
    boss.save()
    with untraced() as by:
        found = load_agents(tenant=tenant, by=by)
    assert [user.username for user in found] == [boss.username, "mei", "tom"]
    assert all(user.check_password("lamplight") for user in found)
