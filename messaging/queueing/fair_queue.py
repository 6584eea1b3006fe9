"""Weighted fair queueing over everything that waits.

Each source has a mark that moves on by `messages / weight`; the next few messages always come from the source with the lowest
mark (stride scheduling: Waldspurger and Weihl, 1995). Marks are kept from look to look, so sources that go short
in one are first in the next. A source that is new, or comes back, starts at the current mark: turns cannot be saved up.
"""

import heapq
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Source = TypeVar("Source", bound=Hashable)
MAX_PER_TURN = 20


class FairQueue(Generic[Source]):
    """Hands out room among sources."""

    def __init__(self) -> None:
        self._marks: dict[Source, float] = {}

    def share(self, room: int, weights: Mapping[Source, int]) -> dict[Source, int]:
        """Divide room for messages among sources by their weights."""
        floor = min((self._marks[source] for source in weights if source in self._marks), default=0.0)
        self._marks = {source: max(floor, self._marks.get(source, floor)) for source in weights}
        shares: dict[Source, int] = {}
        line = [(mark, position, source) for position, (source, mark) in enumerate(self._marks.items())]
        heapq.heapify(line)
        turn = max(1, min(MAX_PER_TURN, room // 4))
        while room > 0 and line:
            mark, position, source = heapq.heappop(line)
            number = min(turn, room)
            room -= number
            shares[source] = shares.get(source, 0) + number
            self._marks[source] = mark + number / weights[source]
            heapq.heappush(line, (self._marks[source], position, source))
        return shares

    def give_back(self, source: Source, number: int, weight: int) -> None:
        """Take back turns that a source had no messages for."""
        if source in self._marks:
            self._marks[source] -= number / weight
