"""Once something is known to be away, callers are told at once, and one at a time may try whether it is back."""

from django.db import IntegrityError, OperationalError

from posthaste.lib.outage import Outage, is_connection_lost
from tests.builders import poll


def test_while_nothing_failed_everybody_may_try() -> None:
    outage = Outage(rest_seconds=60)
    assert not outage.spares()
    outage.over()
    assert not outage.spares()


def test_after_a_failure_everybody_is_spared_until_the_rest_is_over_and_then_one_tries() -> None:
    outage = Outage(rest_seconds=0.2)
    outage.noticed()
    assert outage.spares()
    poll(lambda: not outage.spares())  # the one who may try
    assert outage.spares(), "the others wait for what it finds"
    outage.over()
    assert not outage.spares()


def test_only_a_lost_connection_counts_as_an_outage() -> None:
    assert is_connection_lost(OperationalError("connection refused"))
    refused = OperationalError("deadlock detected")
    refused.__cause__ = type("Deadlock", (Exception,), {"sqlstate": "40P01"})()
    assert not is_connection_lost(refused)
    assert not is_connection_lost(IntegrityError("duplicate key"))
