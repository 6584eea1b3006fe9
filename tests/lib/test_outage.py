"""Once something is known to be away, callers are told at once; a thread in the background finds out when it is back."""

import threading

from django.db import IntegrityError, OperationalError

from posthaste.lib.outage import Outage, is_connection_lost
from tests.builders import poll


def test_while_nothing_failed_everybody_may_try() -> None:
    outage = Outage(lambda: False)
    assert not outage.is_down()
    outage.mark_up()
    assert not outage.is_down()


def test_after_a_failure_everybody_is_spared_until_it_answers_again() -> None:
    back = threading.Event()
    asked = threading.Semaphore(0)

    def probe() -> bool:
        asked.release()
        return back.is_set()

    outage = Outage(probe, every_seconds=0.01)
    outage.mark_down()
    assert asked.acquire(timeout=5)
    assert asked.acquire(timeout=5), "it goes on asking"
    assert outage.is_down()
    back.set()
    poll(lambda: not outage.is_down())

    back.clear()
    outage.mark_down()
    assert outage.is_down(), "it may go away again"
    back.set()
    poll(lambda: not outage.is_down())


def test_a_caller_that_succeeds_ends_the_outage_too() -> None:
    outage = Outage(lambda: False, every_seconds=0.01)
    outage.mark_down()
    assert outage.is_down()
    outage.mark_up()
    assert not outage.is_down()


def test_only_a_lost_connection_counts_as_an_outage() -> None:
    assert is_connection_lost(OperationalError("connection refused"))
    refused = OperationalError("deadlock detected")
    refused.__cause__ = type("Deadlock", (Exception,), {"sqlstate": "40P01"})()
    assert not is_connection_lost(refused)
    assert not is_connection_lost(IntegrityError("duplicate key"))
