"""Bodies have a deadline and a number of places, of which one address has at most half."""

import asyncio

import pytest

from posthaste.lib.body_reading import Deadline, NoPlace, Place, Places, SlowBody


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("posthaste.lib.body_reading.time.monotonic", made.monotonic)
    return made


def test_a_byte_now_and_then_does_not_prolong_the_deadline(clock: Clock) -> None:
    deadline = Deadline()
    for _second in range(15):
        assert deadline.left() > 0
        clock.now += 1
        deadline.note(1)
    clock.now += 1
    with pytest.raises(SlowBody):
        deadline.left()


def test_a_body_that_keeps_coming_has_the_time_it_needs_but_not_for_ever(clock: Clock) -> None:
    deadline = Deadline()
    for _second in range(299):
        deadline.note(64 * 1024)
        clock.now += 1
        assert deadline.left() > 0
    deadline.note(10**9)
    clock.now += 1
    with pytest.raises(SlowBody):
        deadline.left()


def test_one_address_has_at_most_half_of_the_places() -> None:
    async def run() -> tuple[int, bool, int]:
        places = Places(4)
        taken: list[Place] = []
        refused = 0
        for _try in range(10):
            try:
                taken.append(await places.take("192.0.2.1", seconds=0.01))
            except NoPlace:
                refused += 1
        other = await places.take("192.0.2.2", seconds=5)
        waiting = asyncio.create_task(places.take("192.0.2.1", seconds=5))
        await asyncio.sleep(0)
        taken[0].give_back()
        taken[0].give_back()
        got = await waiting
        for place in (*taken[1:], other, got):
            place.give_back()
        return refused, not places._by_address, places._all._value

    assert asyncio.run(run()) == (8, True, 4)
