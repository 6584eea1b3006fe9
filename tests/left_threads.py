"""A plugin of pytest's: a test that leaves a thread behind fails."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.stacks import stacks_of

THREADS_END_SECONDS = float(os.environ.get("THREADS_END_SECONDS", "10"))  # for what a test has told to end and does not wait for
#: Threads that live as long as the process, by the beginning of their names.
LASTING_THREADS = (
    "configuration",  # the watch over what is published
    "flow-keeper",  # gives leases back and prolongs them
    "lock-watchdog",  # prolongs locks
    "outage",  # looks whether a server is back
    "broker-probe",
    "tally",
    "autoscaler-readings",
    "heartbeat-",
    "dns_",  # pools of the outbound client, of the health page and of the Nacos protocol
    "health_",
    "nacos_",
    "alarm-notice",  # sends notices of alarms past the platform
    "access_",  # looks whether open WebSockets may stay
    "live_",  # makes the figures of open pages
    "chat_",  # asks the database for open chats
    "asyncio_",  # asgiref's pool for database calls of WebSockets
)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind, with its stack: it would meet the tests that follow, or keep the run from ending."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREADS_END_SECONDS
    while left := [thread for thread in threading.enumerate() if thread not in before and not thread.name.startswith(LASTING_THREADS)]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads are left behind:\n{stacks_of(left)}", pytrace=False)
        left[0].join(0.1)
