"""Ratings: asked for once each time a conversation is resolved, given in the chat or by a link, changed for a day."""

from datetime import timedelta
from functools import partial
from threading import Barrier, Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from messaging.models import Message
from posthaste.lib.problems import Conflict, Invalid
from routing.conversations import resolving
from routing.customers import erasing, exporting
from routing.models import AuthorKind, Conversation, ConversationStatus, EntranceKind, IdentityKind, Line, LinkPurpose, Satisfaction
from routing.satisfaction import rating
from routing.satisfaction.selectors import By, figures
from tests.builders import TESTER, make_tenant
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity
from tests.routing.links.builders import make_link, path_of
from tests.routing.satisfaction.builders import make_agent, make_answered, make_asked_for

pytestmark = pytest.mark.django_db


def test_a_rating_is_asked_for_once_each_time_a_conversation_is_resolved() -> None:
    conversation = make_answered(make_entrance(), agent=None)
    now = timezone.now()
    resolving.resolve(conversation=conversation, by=TESTER, now=now)
    with pytest.raises(Conflict):
        resolving.resolve(conversation=conversation, by=TESTER, now=now + timedelta(seconds=1))
    assert Satisfaction.objects.count() == 1
    resolving.reopen(conversation)
    conversation.refresh_from_db()
    assert rating.asked_of(conversation) is None, "an open conversation is not rated"
    resolving.resolve(conversation=conversation, by=TESTER, now=now + timedelta(hours=1))
    assert Satisfaction.objects.count() == 2
    assert Line.objects.filter(conversation=conversation, author=AuthorKind.BOT).count() == 0, "the chat asks, no line does"


@pytest.mark.parametrize("why", ["not wanted", "no answer", "about another"])
def test_no_rating_is_asked_for_where_there_is_nothing_to_rate(why: str) -> None:
    entrance = make_entrance(settings={"asks_rating": why != "not wanted"})
    if why == "no answer":
        conversation = make_conversation(make_identity(make_customer(entrance.tenant)), entrance)
    else:
        parent = make_answered(entrance) if why == "about another" else None
        conversation = make_answered(entrance, parent=parent)
    resolving.resolve(conversation=conversation, by=TESTER, now=timezone.now())
    assert not Satisfaction.objects.exists()


def test_on_other_channels_a_link_is_sent_and_rates_by_a_post_only() -> None:
    entrance = make_entrance(kind=EntranceKind.WEBHOOK, settings={"asks_rating": True})
    identity = make_identity(make_customer(entrance.tenant), IdentityKind.OWN, value="C-1")
    asked = make_asked_for(entrance, identity=identity, language="zh")
    line = Line.objects.get(conversation=asked.conversation, author=AuthorKind.BOT)
    assert Message.objects.get(reference=str(asked.conversation_id)).recipient == "C-1"
    path, client = urlsplit(line.text.rpartition(" ")[2]).path, Client()

    shown = client.get(path)
    assert (shown.status_code, shown["Cache-Control"]) == (200, "no-store")
    asked.refresh_from_db()
    assert asked.score is None, "a mail scanner rates nothing"
    assert client.post(path, {"score": "7"}).status_code == 400
    assert client.post(path, {"score": "2", "comment": "slow"}).status_code == 200
    again = client.post(path, {"score": "4", "comment": "<b>but kind</b>"})
    assert "&lt;b&gt;but kind" in again.content.decode()
    assert f"This link is from {entrance.tenant.name}." in again.content.decode()
    [rated] = Satisfaction.objects.all()
    assert (rated.score, rated.comment, Satisfaction.objects.count()) == (4, "<b>but kind</b>", 1)


def test_a_rating_is_changed_for_a_day_and_given_for_two_weeks() -> None:
    asked, now = make_asked_for(make_entrance()), timezone.now()
    first = rating.rate(asked.pk, score=5, now=now)
    assert rating.rate(asked.pk, score=4, now=now + timedelta(hours=23)).answered_at == first.answered_at
    with pytest.raises(Conflict):
        rating.rate(asked.pk, score=1, now=now + timedelta(hours=25))
    late = make_asked_for(make_entrance())
    with pytest.raises(Conflict):
        rating.rate(late.pk, score=5, now=now + timedelta(days=15))


def test_a_link_to_a_rating_is_made_for_the_tenants_own_only() -> None:
    asked = make_asked_for(make_entrance())
    made = make_link(asked.tenant, LinkPurpose.SATISFACTION, data={"rating": str(asked.pk)})
    assert Client().get(path_of(made)).status_code == 200
    with pytest.raises(Invalid):
        make_link(make_tenant(), LinkPurpose.SATISFACTION, data={"rating": str(asked.pk)})
    asked.delete()
    assert Client().get(path_of(made)).status_code == 410


@pytest.mark.django_db(transaction=True)
def test_two_who_rate_at_once_leave_one_rating() -> None:
    asked, barrier, errors = make_asked_for(make_entrance()), Barrier(2), []

    def rate(score: int) -> None:
        try:
            barrier.wait(20)
            rating.rate(asked.pk, score=score, now=timezone.now())
        except Exception as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [Thread(target=rate, args=[score]) for score in (1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert Satisfaction.objects.get().score in (1, 5)


def test_a_comment_is_exported_and_erased_with_its_customer_and_the_score_still_counts() -> None:
    asked, now = make_asked_for(make_entrance()), timezone.now()
    rating.rate(asked.pk, score=2, comment="Ask for Ada at number 7", now=now)
    whose: Any = {"customer_id": asked.conversation.customer_id, "tenant_id": asked.tenant_id, "by": TESTER, "now": now}
    assert exporting.export(**whose)["conversations"][0]["ratings"][0]["comment"] == "Ask for Ada at number 7"
    erasing.erase(**whose)
    asked.refresh_from_db()
    assert (asked.score, asked.comment) == (2, "")


def test_figures_are_told_by_agent_group_and_day() -> None:
    entrance, now = make_entrance(), timezone.now()
    lin, kim = make_agent(entrance.tenant), make_agent(entrance.tenant, "Kim")
    for agent, score in ((lin, 5), (lin, 2), (kim, 4), (kim, None)):
        asked = make_asked_for(entrance, agent=agent)
        if score:
            rating.rate(asked.pk, score=score, now=now)
    make_asked_for(make_entrance())  # another tenant's
    added_up = partial(figures, entrance.tenant_id, start=now - timedelta(hours=1), end=now + timedelta(hours=1))
    by_agent = {one.key: one for one in added_up(by=By.AGENT)}
    assert (by_agent[lin.pk].average, by_agent[lin.pk].satisfied_percent, by_agent[kim.pk].answered_percent) == (3.5, 50.0, 50.0)
    [total] = added_up()
    assert (total.asked, total.answered, total.satisfied, total.average) == (4, 3, 2, 3.67)
    assert sum([one.asked for one in added_up(by=By.DAY)]) == 4
    assert [one.key for one in added_up(by=By.GROUP)] == [None]
    assert Conversation.objects.filter(status=ConversationStatus.RESOLVED).count() == 5
