"""How long a client may take over the body of its request, and how many bodies are read by threads at once.

A body comes at the client's speed, so each is bounded twice: it begins at once and goes on at a least rate, and it ends within five
minutes. Bodies that threads read have places, of which one address has at most half: a request that gets none waits without a thread,
and is told to come back when that takes too long.
"""

import asyncio
import time
from contextlib import suppress

GRACE_SECONDS = 15.0
MIN_BYTES_PER_SECOND = 16 * 1024
MAX_SECONDS = 300.0
#: How long a request waits for a place.
PLACE_SECONDS = 10.0


class SlowBody(OSError):
    """The body did not come in time."""


class NoPlace(Exception):
    """Too many bodies are read already."""


class Deadline:
    """Until when a body must have come: each byte that came earns time."""

    def __init__(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._began = time.monotonic()
        self._grace_seconds = grace_seconds
        self._received = 0

    def note(self, number: int) -> None:
        """Note that bytes came."""
        self._received += number

    def left(self) -> float:
        """Return the seconds that are left for the next bytes.

        Raises:
            SlowBody: None are.
        """
        earned = min(self._grace_seconds + self._received / MIN_BYTES_PER_SECOND, MAX_SECONDS)
        left = self._began + earned - time.monotonic()
        if left <= 0:
            raise SlowBody("the body did not come in time")
        return left


class Places:
    """Places for bodies that threads read, of one event loop; an address has at most half of them."""

    def __init__(self, number: int) -> None:
        self._for_an_address = max(1, number // 2)
        self._all = asyncio.Semaphore(number)
        self._by_address: dict[str, tuple[asyncio.Semaphore, int]] = {}

    async def take(self, address: str, *, seconds: float = PLACE_SECONDS) -> "Place":
        """Return a place, which must be given back.

        Raises:
            NoPlace: There was none in time.
        """
        own, users = self._by_address.get(address) or (asyncio.Semaphore(self._for_an_address), 0)
        self._by_address[address] = own, users + 1
        try:
            async with asyncio.timeout(seconds):
                await own.acquire()
                try:
                    await self._all.acquire()
                except BaseException:
                    own.release()
                    raise
        except BaseException as error:
            self._leave(address)
            if isinstance(error, TimeoutError):
                raise NoPlace from None
            raise
        return Place(self, address, own)

    def _leave(self, address: str) -> None:
        own, users = self._by_address.pop(address)
        if users > 1:
            self._by_address[address] = own, users - 1

    def give_back(self, address: str, own: asyncio.Semaphore) -> None:
        """Take a place back; in the loop's thread."""
        own.release()
        self._all.release()
        self._leave(address)


class Place:
    """One place; giving it back twice does nothing."""

    def __init__(self, places: Places, address: str, own: asyncio.Semaphore) -> None:
        self._places, self._address, self._own = places, address, own
        self._is_taken = True

    def give_back(self) -> None:
        """Give it back; in the loop's thread."""
        if self._is_taken:
            self._is_taken = False
            self._places.give_back(self._address, self._own)

    def give_back_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give it back from a thread."""
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self.give_back)
