"""One evaluator: alarms become rows and notices, through the platform and past it, and what is away does not stop it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import OperationalError

from accounts.selectors import Tenant
from messaging.models import Message, Status
from messaging.storage.store import NewRow
from monitor.alarms import dispatch, operate, selectors, store
from monitor.alarms.evaluator import Evaluator
from monitor.alarms.lease import Lease, Place
from monitor.alarms.rules import ReceiverKind
from monitor.alarms.states import AlarmState, Phase
from monitor.health import parts
from monitor.models import Alarm, AlarmLine, AlarmNotice, EvaluatorLease, NoticeState, NoticeWay, Silence
from posthaste.lib import redis
from posthaste.lib.problems import Unavailable
from tests.builders import TESTER, make_provider, make_tenant, poll
from tests.monitor.alarms.conftest import Load, Turns
from tests.monitor.alarms.rules import START, after, receiver
from tests.peers.gateway import Gateway
from tests.peers.smtp import MailServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
Put = Callable[..., None]


def sent() -> list[AlarmNotice]:
    return list(AlarmNotice.objects.filter(state=NoticeState.SENT).order_by("id"))


@pytest.mark.usefixtures("worker_lives")
def test_an_alarm_is_told_by_a_message_of_the_platform_at_the_highest_priority(turns: Turns, watched: Put, operator: Tenant) -> None:
    watched()
    turns.at(0, 101)
    message, notice, alarm = Message.objects.get(), AlarmNotice.objects.get(), Alarm.objects.get()
    assert (message.tenant_id, message.priority, message.category, message.recipient) == (operator.pk, 10, "alarm", "ops@example.com")
    assert (notice.message_id, notice.way, notice.state, notice.recipient) == (
        message.pk,
        NoticeWay.PLATFORM,
        NoticeState.WAITING,
        "o***@example.com",
    )
    assert "load" in notice.subject
    assert "101" in message.body
    assert (alarm.state, alarm.metric, [one.notice_id for one in alarm.lines.all()]) == (AlarmState.FIRING, "test_load", [notice.pk])
    Message.objects.update(status=Status.SENT)
    turns.at(4, 150)
    assert [one.pk for one in sent()] == [notice.pk]
    assert Message.objects.count() == 1


@pytest.mark.usefixtures("worker_lives", "operator")
def test_a_notice_does_not_contradict_itself_when_the_metric_has_got_better_since(turns: Turns, watched: Put) -> None:
    watched(rule={"hold_seconds": 300}, receivers=[receiver(after_minutes=1)])
    turns.at(0, 101)
    turns.at(60, 90)
    assert "Load was above 100, and is 90 now" in Message.objects.get().body


@pytest.mark.usefixtures("worker_lives")
def test_a_provider_of_webhooks_with_a_url_of_its_own_carries_no_notice_to_another_address(turns: Turns, watched: Put) -> None:
    with Gateway() as other, Gateway() as receiving:
        tenant = make_tenant("Ops", is_operator=True)
        make_provider(tenant, channel="webhook", kind="http", config={"url": other.url})
        watched(receivers=[receiver("hook", kind=ReceiverKind.WEBHOOK, address=receiving.url)])
        turns.at(0, 101)
        poll(sent, what="told straight")
        assert (Message.objects.count(), list(other.records)) == (0, [])


@pytest.mark.usefixtures("worker_lives")
def test_a_sandbox_is_no_way_to_tell_an_alarm(turns: Turns, watched: Put, mails: MailServer) -> None:
    make_provider(make_tenant("Demo", is_operator=True), channel="email", is_stand_in=True)
    watched()
    turns.at(0, 101)
    poll(lambda: mails.messages, what="sent straight")
    assert Message.objects.count() == 0


@pytest.mark.usefixtures("worker_lives")
def test_a_notice_that_the_platform_does_not_send_is_taken_back_and_sent_straight(
    turns: Turns, watched: Put, operator: Tenant, mails: MailServer
) -> None:
    watched(straight_after_seconds=10)
    turns.at(0, 101)
    turns.at(9)
    assert mails.messages == []
    turns.at(10)
    poll(lambda: sent(), what="sent straight")
    assert Message.objects.get().status == Status.CANCELLED  # or it would be sent a second time when the platform is back
    assert [mail.recipients for mail in mails.messages] == [["ops@example.com"]]
    assert sent()[0].way == NoticeWay.STRAIGHT
    turns.at(20)
    assert len(mails.messages) == 1


@pytest.mark.usefixtures("worker_lives", "operator")
def test_a_message_that_the_platform_does_not_take_goes_straight_and_holds_up_no_other(
    turns: Turns, watched: Put, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept: Any = vars(dispatch)["accept_message"]

    def refuse_first(row: NewRow) -> None:
        if row.recipient == "first@example.com":
            raise Unavailable("The writer is stopping.")
        accept(row)

    monkeypatch.setattr(dispatch, "accept_message", refuse_first)
    watched(receivers=[receiver("first", address="first@example.com"), receiver()])
    turns.at(0, 101)
    poll(lambda: [mail.recipients for mail in mails.messages] == [["first@example.com"]], what="the first is sent straight")
    assert [message.recipient for message in Message.objects.all()] == ["ops@example.com"]
    assert sorted(AlarmNotice.objects.values_list("receiver", "way")) == [("first", NoticeWay.STRAIGHT), ("ops", NoticeWay.PLATFORM)]


def test_without_a_worker_a_notice_goes_straight_at_once(turns: Turns, watched: Put, operator: Tenant, mails: MailServer) -> None:
    watched()
    turns.at(0, 101)
    poll(lambda: sent(), what="sent straight")
    assert Message.objects.count() == 0
    turns.at(10, 5)
    turns.at(40, 5)
    turns.at(41, 5)
    poll(lambda: len(sent()) == 2, what="the end is sent")
    assert [str(mail.message["Subject"]).partition("]")[0] for mail in mails.messages] == ["[Warning", "[Resolved"]
    assert Alarm.objects.get().phase == Phase.RESOLVED
    turns.at(60, 5)
    assert Alarm.objects.get().is_settled


def test_a_notice_that_is_not_taken_is_tried_again_and_gives_up_in_the_end(turns: Turns, watched: Put, mails: MailServer) -> None:
    mails.script("rcpt", "450 not now", times=1)
    watched()
    turns.at(0, 101)
    poll(lambda: AlarmNotice.objects.filter(error__contains="450").exists(), what="refused")
    AlarmNotice.objects.update(next_at=after(10))
    turns.at(10)
    poll(lambda: sent(), what="sent at the second attempt")
    assert [notice.attempts for notice in sent()] == [2]
    watched(receivers=[])
    AlarmNotice.objects.update(next_at=after(10), state=NoticeState.DIRECT)
    turns.at(11)
    assert AlarmNotice.objects.get().state == NoticeState.FAILED


def test_a_webhook_and_the_robots_are_called_in_their_own_forms(turns: Turns, watched: Put) -> None:
    with Gateway() as gateway:
        url = gateway.url
        kinds = (ReceiverKind.WEBHOOK, ReceiverKind.WECOM_ROBOT, ReceiverKind.FEISHU_ROBOT)
        found = [receiver(kind.value.replace("_", "-"), kind=kind, address=url) for kind in kinds]
        found.append(receiver("dingtalk", kind=ReceiverKind.DINGTALK_ROBOT, address=f"{url}?access_token=t#SECabc"))
        watched(receivers=found)
        turns.at(0, 101)
        poll(lambda: len(gateway.records) == 4, what="four calls")
        bodies: list[dict[str, Any]] = [record.body for record in gateway.records]
        webhook = next(body for body in bodies if "metadata" in body)
        assert (webhook["metadata"]["status"], webhook["metadata"]["alarms"][0]["rule"]) == ("firing", "load")
        assert sum("msg_type" in body for body in bodies) == 1
        assert sum(body.get("msgtype") == "text" for body in bodies) == 2
        assert any("access_token=t&timestamp=" in record.query and "&sign=" in record.query for record in gateway.records)
    assert all("access_token" not in notice.recipient for notice in AlarmNotice.objects.all())


def test_each_series_has_its_alarm_and_they_share_a_notice(labelled: Load, watched: Put, mails: MailServer) -> None:
    turns = Turns(labelled)
    labelled.by_label = {"a": 101, "b": 200, "c": 5}
    watched()
    turns.at(0)
    poll(lambda: sent(), what="sent")
    assert sorted(Alarm.objects.values_list("series", flat=True)) == ["part=a", "part=b"]
    assert len(mails.messages) == 1
    assert AlarmLine.objects.count() == 2


def test_an_acknowledged_alarm_is_not_repeated_and_a_silenced_one_is_not_sent(turns: Turns, watched: Put, mails: MailServer) -> None:
    watched(rule={"repeat_minutes": 1})
    turns.at(0, 101)
    poll(lambda: sent(), what="sent")
    operate.acknowledge(alarm=Alarm.objects.get(), by=TESTER, now=after(5))
    turns.at(120)
    assert AlarmNotice.objects.count() == 1
    assert [one.state for one in selectors.firing()] == [AlarmState.ACKNOWLEDGED]
    operate.reopen(alarm=Alarm.objects.get(), by=TESTER)
    Silence.objects.create(starts_at=after(100), ends_at=after(300), created_by="user:tester")
    turns.at(180)
    assert Alarm.objects.get().state == AlarmState.SILENCED
    assert AlarmNotice.objects.count() == 1
    assert selectors.firing() == []
    turns.at(301)
    assert AlarmNotice.objects.count() == 2


def test_a_maintenance_window_is_announced_begun_and_ended_once_each(turns: Turns, watched: Put, mails: MailServer) -> None:
    watched()
    Silence.objects.create(
        starts_at=after(600), ends_at=after(900), is_maintenance=True, announce_minutes=5, comment="New disks", created_by="user:tester"
    )
    for seconds in (0, 300, 304, 600, 604, 900, 904, 950):
        turns.at(seconds, 5)
        # A notice is held for a minute while it is sent: the turns must not overtake the sending, or it is taken for lost.
        poll(lambda: AlarmNotice.objects.count() == len(sent()), what="sent")
    assert len(mails.messages) == 3
    said = [str(mail.message["Subject"]) for mail in mails.messages]
    assert [text.split()[0:3] for text in sorted(said)] == [
        ["Maintenance", "from", "2026-03-02"],
        ["Maintenance", "has", "begun,"],
        ["Maintenance", "has", "ended"],
    ]
    assert Silence.objects.get().is_settled


def test_two_evaluators_at_once_tell_an_alarm_once(turns: Turns, watched: Put, mails: MailServer) -> None:
    watched()
    other = Turns(turns.load, Evaluator())
    turns.load.value = 101
    turns.at(0)
    other.at(0)
    other.at(4)
    turns.at(4)
    poll(lambda: sent(), what="sent")
    assert (Alarm.objects.count(), AlarmNotice.objects.count(), len(mails.messages)) == (1, 1, 1)


def test_an_evaluator_that_saw_an_older_version_changes_nothing(turns: Turns, watched: Put, mails: MailServer) -> None:
    watched()
    turns.at(0, 101)
    known = store.load(now=START)
    ((key, episode),) = known.episodes.items()
    Alarm.objects.update(version=7)
    with pytest.raises(store.Overtaken):
        store.save({key: replace(episode, phase=Phase.RESOLVED, resolved_at=after(1))}, known, {})
    assert Alarm.objects.get().phase == Phase.FIRING


def test_without_the_database_notices_go_straight_and_are_written_down_when_it_is_back(
    turns: Turns, watched: Put, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched()
    turns.at(0, 5)
    with monkeypatch.context() as away:

        def gone(**_kwargs: object) -> None:
            raise OperationalError("the server has gone")

        away.setattr(store, "load", gone)
        turns.at(4, 101)
        turns.at(8, 101)
        poll(lambda: mails.messages, what="sent straight")
    turns.at(12, 101)
    assert [mail.recipients for mail in mails.messages] == [["ops@example.com"]]
    assert Alarm.objects.get().fired_at == after(4)
    assert [(one.state, one.way) for one in AlarmNotice.objects.all()] == [(NoticeState.SENT, NoticeWay.STRAIGHT)]
    turns.at(20, 101)
    assert AlarmNotice.objects.count() == 1


def test_a_database_that_hangs_is_not_waited_for(turns: Turns, watched: Put, mails: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    watched()
    turns.at(0, 5)
    answers = Event()
    asked: list[str] = []
    with monkeypatch.context() as hanging:
        hanging.setattr(parts.DATABASE, "_ask", answers.wait)
        hanging.setattr(parts.DATABASE, "seconds", 0.1)
        hanging.setattr(store, "load", lambda **_kwargs: asked.append("alarms"))
        hanging.setattr(EvaluatorLease.objects, "filter", lambda **_kwargs: asked.append("lease"))
        turns.at(4, 101)
        poll(lambda: mails.messages, what="sent straight")
        with pytest.raises(OperationalError):
            Lease()._in_database()
        answers.set()
    assert asked == []
    turns.at(8, 101)
    assert [(one.state, one.way) for one in AlarmNotice.objects.all()] == [(NoticeState.SENT, NoticeWay.STRAIGHT)]


def test_an_evaluator_that_takes_over_without_the_database_tells_nothing_twice_and_what_comes_back_again(
    turns: Turns, watched: Put, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(receivers=[receiver(), receiver("brief", tells_the_end=False)])

    def gone(**_kwargs: object) -> None:
        raise OperationalError("the server has gone")

    turns.at(-4, 5)
    monkeypatch.setattr(store, "load", gone)
    later = Turns(turns.load)
    turns.at(0, 101)
    poll(lambda: len(mails.messages) == 2, what="told to both")
    for seconds, value in ((20, 101), (30, 5), (60, 5), (64, 5)):  # without a word of what the first one told
        later.at(seconds, value)
    poll(lambda: len(mails.messages) == 3, what="the end is told to one")
    later.at(100, 101)
    poll(lambda: len(mails.messages) == 5, what="told to both again")
    subjects = Counter(str(mail.message["Subject"]).partition("]")[0] for mail in mails.messages)
    assert subjects == {"[Warning": 4, "[Resolved": 1}


def test_the_lease_is_held_by_one_passes_on_and_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Lease(), Lease()
    assert (first.hold(), second.hold(), first.hold()) == (Place.REDIS, None, Place.REDIS)
    first.release()
    assert second.hold() == Place.REDIS
    second.release()

    def away(self: Lease) -> bool:
        raise redis.Unavailable("away")

    monkeypatch.setattr(Lease, "_in_redis", away)
    assert (first.hold(), second.hold(), first.hold()) == (Place.DATABASE, None, Place.DATABASE)

    def gone(self: Lease) -> bool:
        raise OperationalError("the server has gone")

    monkeypatch.setattr(Lease, "_in_database", gone)
    assert (second.hold(), first.hold(), second.hold()) == (Place.MACHINE, None, Place.MACHINE)
    second.release()
    assert first.hold() == Place.MACHINE
    first.release()


def test_old_alarms_and_their_notices_are_deleted(turns: Turns, watched: Put, mails: MailServer) -> None:
    watched()
    for seconds, value in ((0, 101), (10, 5), (40, 5), (44, 5)):
        turns.at(seconds, value)
    poll(lambda: len(sent()) == 2, what="sent")
    assert store.delete_old(keep=timedelta(days=1), now=after(3_600)) == 0
    assert store.delete_old(keep=timedelta(days=1), now=after(90_000)) == 1
    assert (Alarm.objects.count(), AlarmNotice.objects.count()) == (0, 0)
