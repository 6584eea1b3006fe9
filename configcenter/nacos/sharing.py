"""Many who read the same thing at the same time cause one read.

After a publish a thousand clients get the same item within a second. A request that comes while a read is under way shares
the read that begins after it, never one that began before the request: so no answer is older than its question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Reads by key; all in one event loop."""

    def __init__(self) -> None:
        self._next: dict[Hashable, asyncio.Future[T]] = {}
        self._reading: dict[Hashable, asyncio.Task[None]] = {}

    async def read(self, key: Hashable, function: Callable[[], Awaitable[T]]) -> T:
        """Return what `function` gives, called for this caller alone or for all who wait for the same key."""
        answer = self._next.get(key)
        if answer is None:
            answer = self._next[key] = asyncio.get_running_loop().create_future()
            if key not in self._reading:
                self._reading[key] = asyncio.create_task(self._run(key, function))
        return await asyncio.shield(answer)  # a caller that is cancelled must not cancel it for the others

    async def _run(self, key: Hashable, function: Callable[[], Awaitable[T]]) -> None:
        try:
            while (answer := self._next.pop(key, None)) is not None:
                try:
                    answer.set_result(await function())
                except Exception as error:  # noqa: BLE001 - told to those who asked
                    answer.set_exception(error)
                    answer.exception()  # all of them may have left meanwhile
        finally:
            del self._reading[key]
