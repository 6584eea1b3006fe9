"""One inside, one that waits, the others leave."""

import threading

from posthaste.lib.door import Door
from tests.patience import Patience


def test_of_many_one_waits_and_the_others_are_sent_away() -> None:
    door, inside, go_on = Door(), threading.Event(), threading.Event()
    turns: list[str] = []

    def first() -> None:
        with door.enter() as is_mine:
            turns.append(f"first {is_mine}")
            inside.set()
            go_on.wait(30)

    def second() -> None:
        with door.enter() as is_mine:
            turns.append(f"second {is_mine}")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    inside.wait(30)
    threads[1].start()
    patience = Patience(30)
    while not door._has_waiter:
        assert not patience.is_over()
    with door.enter() as is_mine:
        turns.append(f"third {is_mine}")
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert turns == ["first True", "third False", "second True"]


def test_who_fails_inside_leaves_the_door_open() -> None:
    door = Door()
    for _attempt in range(2):
        try:
            with door.enter() as is_mine:
                assert is_mine
                raise ValueError
        except ValueError:
            pass
    with door.enter() as is_mine:
        assert is_mine
