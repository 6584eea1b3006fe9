"""The threads that send events, in each worker for auxiliary tasks.

One thread, the dispatcher, gives positions to new events and finds endpoints that have something to send. Each of these gets a thread
for its turn, so a slow endpoint holds up only itself. While there is something to do, the dispatcher looks five times a second (twice
while many messages are sent), and else once; where no tenant is recorded, every three seconds. The triggers that record events notify
no process.

Several processes may run it: a lock of the database lets one at a time give positions, and a lease in its row gives an endpoint to one.
"""

import time
from functools import partial
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from messaging.models import EventRecording
from messaging.webhooks import sender, sequencer
from messaging.webhooks.pacing import pacing
from messaging.webhooks.sender import Sender
from posthaste.lib import logs
from posthaste.lib.dispatching import Dispatcher
from posthaste.lib.elastic import stopping

log = structlog.get_logger(__name__)
MAX_THREADS = 32
BUSY_SECONDS, YIELDING_SECONDS, IDLE_SECONDS, UNUSED_SECONDS = 0.2, 0.5, 1.0, 3.0
AWAY_SECONDS = 2.0  # after an error
LAST_CALL_SECONDS = 12.0  # for requests in progress when the process ends


class Engine(Dispatcher):
    """The dispatcher and the threads of the turns."""

    name = "webhooks"
    away_seconds = failed_seconds = AWAY_SECONDS

    def __init__(self) -> None:
        super().__init__()
        self._used_at = float("-inf")  # when some tenant was known to be recorded

    def look(self) -> float:
        """Give positions, start what is due, and return the seconds until the next look."""
        if time.monotonic() - self._used_at > UNUSED_SECONDS:
            if not EventRecording.objects.exists():
                return UNUSED_SECONDS
            self._used_at = time.monotonic()
        moved = sequencer.sequence()
        busy = self.busy()
        found = [pk for pk in sender.due(now=timezone.now(), limit=MAX_THREADS) if pk not in busy]
        for pk in found[: MAX_THREADS - len(busy)]:
            self.begin(pk, partial(_serve, pk))
        if not (moved or busy or found):
            return IDLE_SECONDS
        return YIELDING_SECONDS if pacing.is_busy else BUSY_SECONDS


def _serve(endpoint_id: UUID) -> None:
    turn = Sender(endpoint_id)
    try:
        turn.serve()
    except (OperationalError, InterfaceError) as error:
        told = logs.traces(turn.messages)
        log.warning("a turn of a webhook ended early", endpoint=str(endpoint_id), error=type(error).__name__, **told)
    except Exception:
        log.exception("sending webhooks failed", endpoint=str(endpoint_id), **logs.traces(turn.messages))
        stopping.wait(BUSY_SECONDS)  # the next turn may fail in the same way


engine = Engine()


def finish() -> None:
    """Let requests in progress end, as the process is about to."""
    engine.join(LAST_CALL_SECONDS)
