"""Only so many calls to other servers are waited for at once, and fewer for one tenant."""

from contextlib import ExitStack

import pytest

from posthaste.lib.outgoing_calls import OutgoingCalls, outgoing_calls
from posthaste.lib.problems import TooMany


def test_one_tenant_takes_only_some_of_the_places() -> None:
    calls = OutgoingCalls(places=3, per_tenant=2)
    with calls.place(1), calls.place(1):
        with pytest.raises(TooMany) as caught, calls.place(1):
            pass
        assert int(caught.value.headers["Retry-After"]) > 0
        with calls.place(2), pytest.raises(TooMany), calls.place(3):
            pass
    with calls.place(1), calls.place(None), calls.place(3), calls.place_if_free(4) as is_held:
        assert not is_held


def test_a_place_is_given_back_whatever_happens() -> None:
    calls = OutgoingCalls(places=1, per_tenant=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), calls.place(1):
            raise ZeroDivisionError
    with calls.place(2), calls.place_if_free(1) as is_held:
        assert not is_held


def test_a_quarter_of_the_threads_of_a_process_may_wait() -> None:
    with ExitStack() as held:
        for tenant_id in range(outgoing_calls.places):
            held.enter_context(outgoing_calls.place(tenant_id))
        with pytest.raises(TooMany), outgoing_calls.place(-1):
            pass
    assert (outgoing_calls.places, outgoing_calls.per_tenant) == (8, 2)
