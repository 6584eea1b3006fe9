import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from posthaste.env import ROOT
from posthaste.lib import heartbeat
from tests.builders import poll

pytestmark = pytest.mark.both_stacks
PROGRAM = """
import time
from posthaste.lib import heartbeat
heartbeat.EXPIRES_SECONDS = 1
heartbeat.SECONDS = 0.1
heartbeat.start("trial")
heartbeat.start("trial")
time.sleep(60)
"""


@pytest.fixture
def start() -> Iterator[Callable[[], "subprocess.Popen[bytes]"]]:
    started: list[subprocess.Popen[bytes]] = []

    def run() -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=ROOT))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait(10)


def trials() -> int:
    return heartbeat.alive().get("trial", 0)


def test_live_processes_are_counted_and_dead_ones_soon_no_more(start: "Callable[[], subprocess.Popen[bytes]]") -> None:
    first, _second = start(), start()
    poll(lambda: trials() == 2, what="two signs of life, each process once")
    first.kill()
    poll(lambda: trials() == 1, what="the sign of life of a killed process runs out")


def test_every_kind_is_named_also_where_none_lives() -> None:
    assert set(heartbeat.KINDS) <= set(heartbeat.alive())


def test_a_sign_of_life_outlives_a_few_missed_beats() -> None:
    assert heartbeat.EXPIRES_SECONDS >= 3 * heartbeat.SECONDS
