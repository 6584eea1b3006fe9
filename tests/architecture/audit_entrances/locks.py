"""Distributed locks."""

from contextlib import suppress

from posthaste.lib import locks
from tests.architecture.audit_entrances.world import KEY, USER, Event, Way, World, nobodys


def freed(way: Way) -> Way:
    def perform(w: World) -> None:
        with suppress(locks.LockLost), locks.simple(w.lock):
            way(w)

    return perform


LOCKS = [
    Event(
        "lock.force_release",
        lambda w: w.lock,
        (
            (USER, freed(lambda w: w.page("config-locks", lock=w.lock, name=w.lock))),
            (KEY, freed(lambda w: w.call("POST", "locks/release/", {"name": w.lock}))),
        ),
        tenant=nobodys,
    ),
]
