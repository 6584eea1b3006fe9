"""Receivers that answer slowly, or not at all, beside one that answers: each notice comes once, and at once."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from accounts.services.audit import Actor
from monitor.alarms import dispatch, operate, straight
from monitor.alarms.configuration import alarms
from monitor.alarms.lanes import WIDTH
from monitor.models import AlarmNotice, NoticeState
from tests.builders import poll
from tests.monitor.alarms.conftest import Turns
from tests.monitor.alarms.rules import after, receiver
from tests.peers.gateway import Answer, Gateway

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
Put = Callable[..., None]
BY = Actor.system("test")


def robot(name: str, gateway: Gateway) -> object:
    return receiver(name, kind="feishu_robot", address=f"{gateway.url}/{name}")


def test_two_receivers_that_hang_hold_up_neither_a_third_nor_the_heartbeat(
    turns: Turns, watched: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(straight, "TIMEOUT_SECONDS", 3.0)
    with Gateway() as first, Gateway() as second, Gateway() as good:
        for slow in (first, second):
            slow.script(Answer(action="hang", taken=False), times=1_000)
        watched(receivers=[robot("slow-a", first), robot("slow-b", second), robot("good", good)], heartbeat_url=f"{good.url}/beat")
        for name in ["slow-a", "slow-b"] * 25 + ["good"] * 3:
            operate.send_test(receiver=name, by=BY, now=after(0))
        turns.at(0, 5)
        poll(lambda: any(record.path.endswith("/beat") for record in good.records), what="the heartbeat")
        for turn in range(1, 60):  # the clock of the notices passes many holds
            turns.at(turn * 2.0)
        poll(lambda: not AlarmNotice.objects.filter(receiver="good").exclude(state=NoticeState.SENT), what="the notices of the good one")
        came = [record.body["content"]["text"] for record in good.records if record.path.endswith("/good")]
        assert len(came) == len(set(came)) == 3, "each once, and each has an id of its own"
        for slow in (first, second):
            assert len(slow.records) <= 2 * WIDTH
        assert AlarmNotice.objects.filter(receiver="slow-a", attempts=0).count() >= 25 - 2 * WIDTH, "what waits for a thread is not taken"
        poll(lambda: not dispatch._under_way, what="the end of what hangs")


def test_what_was_sent_is_written_as_sent_also_if_another_process_has_taken_it_since(
    turns: Turns, watched: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sent(*_args: object) -> None:
        AlarmNotice.objects.update(next_at=after(500))  # another's claim

    monkeypatch.setattr(straight, "send", sent)
    with Gateway() as gateway:
        watched(receivers=[robot("good", gateway)])
        operate.send_test(receiver="good", by=BY, now=after(0))
        turns.at(0, 5)
        poll(lambda: AlarmNotice.objects.get().state == NoticeState.SENT, what="the outcome")
        assert AlarmNotice.objects.get().next_at is None


def test_a_notice_whose_process_died_while_it_sent_is_sent_again_after_the_hold(turns: Turns, watched: Put) -> None:
    with Gateway() as gateway:
        watched(receivers=[robot("good", gateway)])
        notice = operate.send_test(receiver="good", by=BY, now=after(0))
        assert dispatch._claim(notice, after(0)), "the process that dies now"
        turns.at(dispatch.HOLD.total_seconds() - 1, 5)
        assert not gateway.records
        turns.at((dispatch.HOLD + timedelta(seconds=1)).total_seconds())
        poll(lambda: AlarmNotice.objects.get().state == NoticeState.SENT, what="the notice")
        assert len(gateway.records) == 1


def test_the_notices_of_a_receiver_that_was_removed_stop(turns: Turns, watched: Put) -> None:
    with Gateway() as gateway:
        watched(receivers=[robot("gone", gateway)])
        for _number in range(5):
            operate.send_test(receiver="gone", by=BY, now=after(0))
        watched(receivers=[])
        assert not alarms.value.receivers
        turns.at(0, 5)
        assert set(AlarmNotice.objects.values_list("state", flat=True)) == {NoticeState.FAILED}
        assert not gateway.records
