"""Three evaluators that are killed at random: each alarm is raised once and ended once, and each is told once."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from messaging.models import Message
from monitor.alarms.states import Phase
from monitor.models import Alarm, AlarmLine, AlarmNotice
from posthaste import env
from posthaste.lib import heartbeat, redis
from tests.builders import make_provider, make_tenant, poll
from tests.peers.alarm_evaluator import LOAD_KEY, Evaluators

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks, pytest.mark.timeout(600)]
ROUNDS = 12
SEED = 20260302


@pytest.fixture
def evaluators(tmp_path: Path) -> Iterator[Evaluators]:
    name = str(connection.settings_dict["NAME"])
    url = f"{env.load().database_url.rpartition('/')[0]}/{name}" if env.load().is_postgresql else f"sqlite:///{name}"
    running = Evaluators(3, environment={"DATABASE_URL": url, "DATA_DIR": str(tmp_path)})
    yield running
    running.end()
    redis.client().delete(redis.key(LOAD_KEY))


def set_load(value: float) -> None:
    redis.client().set(redis.key(LOAD_KEY), value)
    heartbeat.report(heartbeat.look("send", started_at=time.time()))  # so that notices are messages of the platform


def test_three_evaluators_killed_at_random_tell_each_alarm_once(evaluators: Evaluators) -> None:
    config = {"host": "127.0.0.1", "port": 9, "security": "none", "from_email": "alarms@example.com"}
    make_provider(make_tenant("Ops", is_operator=True), channel="email", kind="email", config=config)
    set_load(0)
    chance = random.Random(SEED)
    for number in range(1, ROUNDS + 1):
        for value, phase in ((500, Phase.FIRING), (0, Phase.RESOLVED)):
            set_load(value)
            if chance.random() < 0.6:
                time.sleep(chance.random() * 0.2)  # within a turn, or between two
                evaluators.kill(chance.randrange(3))

            def is_done(number: int = number, phase: Phase = phase, value: float = value) -> bool:
                set_load(value)
                # What ends before it was told is not told at all, so the next change waits for the notice.
                told = 2 * number - (phase == Phase.FIRING)
                return Alarm.objects.filter(phase=phase).exists() and AlarmLine.objects.count() >= told

            poll(is_done, what=f"round {number}: {phase}")
    poll(lambda: AlarmLine.objects.count() == 2 * ROUNDS, what="all were told")
    assert evaluators.kills > 0
    told = Counter(AlarmLine.objects.values_list("alarm_id", "kind"))
    assert set(told.values()) == {1}
    assert Counter(kind for _alarm, kind in told) == {"firing": ROUNDS, "resolved": ROUNDS}
    # Where a figure came too late, the platform was taken for broken, and the notice has no message.
    messages = Counter(AlarmNotice.objects.exclude(message_id=None).values_list("message_id", flat=True))
    assert set(messages.values()) <= {1}
    assert set(messages) == set(Message.objects.values_list("id", flat=True))
