"""Calls to other servers that a web request makes and waits for, such as the test of a webhook endpoint.

Each holds a thread for as long as the other side takes. So that slow receivers cannot hold all threads, a quarter of those of a process may
wait at the same time, and a quarter of these for one tenant. Calls of workers are not counted: they hold up no request.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.translation import gettext as _

from posthaste import env
from posthaste.lib.problems import TooMany

RETRY_AFTER_SECONDS = 5


class OutgoingCalls:
    """The places for such calls: `places` in all, `per_tenant` for each tenant; None stands for the whole installation."""

    def __init__(self, *, places: int, per_tenant: int) -> None:
        self.places, self.per_tenant = places, per_tenant
        self._lock = threading.Lock()
        self._taken: Counter[int | None] = Counter()

    @contextmanager
    def place(self, tenant_id: int | None) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            TooMany: all are taken.
        """
        with self.place_if_free(tenant_id) as is_held:
            if not is_held:
                raise TooMany(
                    _("Too many calls wait for an answer already. Try again in a few seconds."), retry_after_seconds=RETRY_AFTER_SECONDS
                )
            yield

    @contextmanager
    def place_if_free(self, tenant_id: int | None) -> Iterator[bool]:
        """Hold a place while the block runs, and tell it whether there was one."""
        is_held = self._take(tenant_id)
        try:
            yield is_held
        finally:
            if is_held:
                self._leave(tenant_id)

    def _take(self, tenant_id: int | None) -> bool:
        with self._lock:
            if self._taken.total() >= self.places or self._taken[tenant_id] >= self.per_tenant:
                return False
            self._taken[tenant_id] += 1
            return True

    def _leave(self, tenant_id: int | None) -> None:
        with self._lock:
            self._taken[tenant_id] -= 1
            if not self._taken[tenant_id]:
                del self._taken[tenant_id]


def _of_this_process() -> OutgoingCalls:
    places = max(1, env.load().web_threads // 4)
    return OutgoingCalls(places=places, per_tenant=max(1, places // 4))


outgoing_calls = _of_this_process()
