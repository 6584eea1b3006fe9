"""Feed: the one mechanism that moves what is `pending` and due into the broker.

Big batches, scheduled sends, retries after their back-off, what was lost: all wait as rows. The broker holds only what
leaves it within a moment (see `drain_rate`), and never more than `queue_capacity`, so that pausing or cancelling takes effect
at once and one tenant's million does not delay another's ten. Tenants take turns by weight, and within a tenant its single
messages and its batches (see `fair_queue`).

While anything waits, one feeder looks five times a second, under a fenced lock; scheduled runs meanwhile count the backlog. While
nothing waits, it stays ready in its thread: it looks once a second, and at once when it is kicked. Where nothing at all is in progress,
two looks of three only make sure of that. A note in Redis says that it is ready, and beat publishes no runs meanwhile; it expires a
moment after the feeder's death. If a feeder dies after the commit and before the publish, the rows are `queued` without a task and
`recover` brings them back; if two feed at once, the row locks keep them apart, and the fence refuses the one whose lock the other has
taken over.
"""

import time
from datetime import datetime, timedelta

import structlog
from django.db import close_old_connections, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from jobs.services import fence
from messaging.configuration import queues
from messaging.configuration.pools import Queues
from messaging.models import Message, Status
from messaging.providers import useful_threads
from messaging.queueing import admission, backlog, broker, counting, queue_statistics
from messaging.queueing.backlog import BacklogHead, BacklogQueue
from messaging.queueing.drain_rate import DrainRate
from messaging.queueing.fair_queue import FairQueue
from messaging.queueing.publish import Route, broker_is_up, kick_feeder, publish_all, wait_for_kick
from messaging.queueing.queue_statistics import Pools
from messaging.queueing.readiness import Readiness, no_feeder_is_ready
from messaging.storage import in_progress, store, unreadable
from posthaste.lib import locks, redis
from posthaste.lib.elastic import stopping
from posthaste.lib.process_state import on_reset
from posthaste.lib.queues import DELAYED, SEND, URGENT

log = structlog.get_logger(__name__)
LOCK = "feed"
LOCK_SECONDS = 5.0  # after a feeder's death the next one waits this long; two at once are only less economical
HOLD_SECONDS = 3.0  # the lock is taken anew well before it runs out
RUN_SECONDS = 30.0  # then another task goes on: a broker takes a task that is never acknowledged for lost
LOOK_SECONDS = 0.2
CALM_LOOK_SECONDS = 0.5  # nothing waits, but messages go straight to the broker
READY_LOOK_SECONDS = 1.0  # nothing waits, and nothing goes past
CALM_SECONDS = 2.5  # for so long after a look it is enough to make sure that nothing has begun
LOOKING_SHARE = 0.4  # of the time may go into looking; where there are very many lines it is done less often
HAND_OVER_SECONDS = 0.2  # then it looks again who else has come
MIN_PER_STEP = 100
MAX_PER_STATEMENT = 2_000
URGENT_RESERVE = 1_000
ROUTES_SECONDS = 2.0
FRESH_SECONDS = 1.0
MAX_RATES = 10_000


class Feeder:
    """What a process remembers from look to look while it feeds."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that has just started."""
        self.drain_rate = DrainRate()
        self.fair_queue: FairQueue[BacklogQueue] = FairQueue()
        self.routes: dict[tuple[int, str], float] = {}  # where messages went lately, and when
        self.rates: dict[tuple[int, str], float] = {}  # at which they last left, while more was waiting
        self.is_waiting = False
        self.took = 0.0  # seconds for looking alone, without handing over
        self._content = self._total = 0
        self._stuck = 0  # handed over, but neither in the broker nor claimed: lost there; `recover` brings them back
        self._pools = Pools()
        self._useful: int | None = None
        self._each_second_at = self._depth_at = self._busy_at = self._measured_at = 0.0
        self._bounds: Queues | None = None

    def look(self, now: datetime) -> int:
        """Feed what there is room for and return the number of messages handed over."""
        clock = time.monotonic()
        waiting = backlog.waiting(now)
        self.is_waiting = bool(waiting)
        try:
            window = self._measure(clock, waiting)
        except redis.Unavailable:
            if not broker_is_up():
                return 0
            left = queues.value.queue_capacity - queue_statistics.count_queued()
            return self._hand_over_urgent(waiting, now) + self._hand_over(waiting, left, now)
        self.took = time.monotonic() - clock
        urgent = fed = 0
        if waiting and broker_is_up():
            urgent = self._hand_over_urgent(waiting, now)
            wanted = admission.take({admission.FEEDER: window}).get(admission.FEEDER, 0)
            fed = self._hand_over(waiting, wanted, now)
            if fed < wanted:
                admission.give_back(wanted - fed)
        self._publish_statistics(clock, now, waiting)
        return urgent + fed

    def is_busy(self, clock: float) -> bool:
        """Return whether something waits or went past lately, so that another look is of use."""
        return clock - self._busy_at < 1.0

    def is_calm(self, clock: float) -> bool:
        """Return whether nothing is in progress and nothing was admitted since the last look; then its count is still right.

        Accept relies upon a recent count. What else a look tells the others lives longer than `CALM_SECONDS`.
        """
        if clock - self._measured_at > CALM_SECONDS or queues.value is not self._bounds:
            return False
        try:
            at = admission.now_ms()
            is_calm = not in_progress.is_anything() and admission.renew_count(at=at) == (0, self._total)
        except redis.Unavailable:
            return False
        if is_calm:
            self.drain_rate.note(clock, left=0)
        return is_calm

    def _measure(self, clock: float, waiting: dict[BacklogQueue, BacklogHead]) -> int:
        """Count the messages in the broker, set the bounds, and return the window."""
        self._pools = queue_statistics.live_pools()
        content, total = admission.count()
        self.drain_rate.note(clock, left=self._content + total - self._total - content)
        if waiting or total != self._total:
            self._busy_at = clock
        self._content, self._total = content, total
        self._stuck = min(self._stuck, content)
        if waiting and content and not self._stuck and self.drain_rate.per_second == 0 and clock - self._depth_at > 1.0:
            self._depth_at = clock
            self._stuck = self._lost(content)
        bounds = self._bounds = queues.value
        window = self.drain_rate.adapt(
            content=content - self._stuck,
            is_waiting=bool(waiting),
            threads=self._pools.threads,
            busy=self._pools.busy,
            capacity=bounds.queue_capacity,
            hold_seconds=bounds.hold_seconds,
            expected=self._expected(clock, content=content, is_waiting=bool(waiting)),
        )
        behind = {queue.tenant_id for queue in waiting if queue.batch_id is None}
        admission.bound(window=window + self._stuck, capacity=bounds.queue_capacity, behind=behind)
        self._measured_at = clock
        return window

    def _expected(self, clock: float, *, content: int, is_waiting: bool) -> float:
        """Remember the drain rate of the routes in the broker and return the lowest one known of them; 0 if none is."""
        on_their_way = [route for route, at in self.routes.items() if clock - at < FRESH_SECONDS]
        if is_waiting and content and self.drain_rate.is_settled and self.drain_rate.per_second:
            if len(self.rates) > MAX_RATES:
                self.rates.clear()
            self.rates |= dict.fromkeys(on_their_way, self.drain_rate.per_second)
        return min((self.rates.get(route, 0.0) for route in on_their_way), default=0.0)

    @staticmethod
    def _lost(content: int) -> int:
        try:
            return 0 if broker.depth(SEND) else content
        except broker.BROKER_ERRORS:
            return 0

    def _publish_statistics(self, clock: float, now: datetime, waiting: dict[BacklogQueue, BacklogHead]) -> None:
        if clock - self._each_second_at > 1.0:
            self._each_second_at = clock
            routes: dict[tuple[int, str], float] = {}
            if self._content:
                queued = Message.objects.filter(status=Status.QUEUED, queued_at__isnull=False).order_by()
                routes = dict.fromkeys(queued.values_list("tenant_id", "channel").distinct()[:200], clock)
            self.routes = {route: at for route, at in self.routes.items() if clock - at < ROUTES_SECONDS} | routes
            if self.routes:  # where nothing is on its way at this moment, what is known of the last ones stands
                self._useful = useful_threads.useful_threads(self.routes, processes=max(1, self._pools.processes))
            oldest = min((since for head in waiting.values() for since in head.due_since.values()), default=now)
            queue_statistics.publish_drain(
                per_second=self.drain_rate.told_per_second, oldest_seconds=(now - oldest).total_seconds(), useful_threads=self._useful
            )

    def _hand_over_urgent(self, waiting: dict[BacklogQueue, BacklogHead], now: datetime) -> int:
        """Move urgent messages regardless of the bounds, and return the number."""
        urgent = [(queue, priority) for queue, head in waiting.items() for priority in head.due_since if priority >= URGENT]
        return sum(self._move_or_skip(queue, priority, URGENT_RESERVE, now) for queue, priority in urgent)

    def _hand_over(self, waiting: dict[BacklogQueue, BacklogHead], left: int, now: datetime) -> int:
        """Move up to `left` messages in fair turns, as many as the time allows, and return the number."""
        weights = {queue: head.weight for queue, head in waiting.items() if min(head.due_since) < URGENT}
        fed, until = 0, time.monotonic() + HAND_OVER_SECONDS
        step = max(MIN_PER_STEP, left // 4)
        while weights and fed < left and broker_is_up() and time.monotonic() < until:
            for queue, share in self.fair_queue.share(min(step, left - fed), weights).items():
                moved = self._take_turn(queue, waiting[queue], share, now)
                fed += moved
                if moved < share:
                    self.fair_queue.give_back(queue, share - moved, weights.pop(queue))
        return fed

    def _take_turn(self, queue: BacklogQueue, head: BacklogHead, share: int, now: datetime) -> int:
        moved = 0
        for priority in [p for p in head.due_since if p < URGENT]:
            while moved < share:
                limit = min(MAX_PER_STATEMENT, share - moved)
                step = self._move_or_skip(queue, priority, limit, now)
                moved += step
                if step < limit:
                    break
        return moved

    def _move_or_skip(self, queue: BacklogQueue, priority: int, limit: int, now: datetime) -> int:
        """Move rows of one queue and return the number; 0 if something in them fails, so that the other queues get their turn."""
        try:
            return self._move(queue, queue.due(now, priority), limit, now)
        except Exception as error:
            if not unreadable.may_be_a_rows_fault(error):
                raise
            log.exception("a queue could not be fed", tenant_id=queue.tenant_id, batch=str(queue.batch_id))
            return 0

    def _move(self, queue: BacklogQueue, rows: "QuerySet[Message]", limit: int, now: datetime) -> int:
        """Move up to `limit` rows to `queued`, publish them, and return the number; what the broker refuses goes back."""
        with transaction.atomic():
            if not queue.hold():
                return 0
            locked = rows.select_for_update(skip_locked=True)[:limit]
            chosen = unreadable.read(rows[:limit], lambda: list(locked.values_list("pk", "tenant_id", "channel", "priority")))
            if not chosen:
                return 0
            store.move([pk for pk, *_rest in chosen], source=Status.PENDING, status=Status.QUEUED, queued_at=now)
            fence.check_current(LOCK)
        self.routes |= dict.fromkeys({(tenant_id, channel) for _pk, tenant_id, channel, _priority in chosen}, time.monotonic())
        lost = publish_all((Route(tenant_id, channel, priority), pk) for pk, tenant_id, channel, priority in chosen)
        if lost:
            store.move(lost, source=Status.QUEUED, status=Status.PENDING, queued_at=None)
        return len(chosen) - len(lost)


_feeder = Feeder()
on_reset(_feeder.forget)


def feed(*, now: datetime) -> int:
    """Feed once and return the number of messages handed to the broker."""
    counting.tick(now=now)
    return _feeder.look(now)


@job(
    "messaging.feed",
    entry="feed",
    title=_("Release due messages"),
    purpose=_("Hands messages that are due to the broker, among them scheduled ones and retries, and counts them."),
    every=timedelta(seconds=1),
    timeout=timedelta(seconds=RUN_SECONDS + 15),
    expires=timedelta(seconds=3),
    blocking=Blocking.DISCARD,
    queue=DELAYED,
    own_lock=LOCK,
    is_needed=no_feeder_is_ready,
)
def keep_feeding() -> None:
    """Feed as long as anything waits, unless another process does; then stay ready for what comes, for half a minute in all."""
    until = time.monotonic() + RUN_SECONDS
    readiness = Readiness()
    try:
        while _feed_until(until) and not stopping.is_set() and time.monotonic() < until and readiness.claim():
            close_old_connections()
            wait_for_kick(READY_LOOK_SECONDS)
    finally:
        readiness.end()


def _feed_until(until: float) -> bool:
    """Feed as long as anything waits, and count the backlog once a second; False if another process feeds, or Redis is away.

    Where nothing is in progress there is neither.
    """
    is_ours = True
    if _feeder.is_calm(time.monotonic()):
        return is_ours
    try:
        while _hold_the_lock(min(until, time.monotonic() + HOLD_SECONDS)):
            if time.monotonic() >= until:
                kick_feeder()
                break
            try:
                counting.tick_in_turn(
                    now=timezone.now()
                )  # scheduled runs do so each second; while there is no beat, only this process does
            except ExceptionGroup:
                log.exception("could not count everything")  # and feeding goes on
    except (locks.NotAcquired, locks.LockLost):
        is_ours = False  # another one feeds
    except redis.Unavailable:
        is_ours = False
        _feeder.look(timezone.now())  # without the lock it is only less economical: rows are locked one by one
    counting.tick_in_turn(now=timezone.now())
    return is_ours


def _hold_the_lock(until: float) -> bool:
    """Look repeatedly until the time is up; return False when nothing is left to feed."""
    with locks.simple(LOCK, lease_seconds=LOCK_SECONDS) as lock:
        while not stopping.is_set():
            lock.check()
            fed = _feeder.look(timezone.now())
            ended = time.monotonic()
            if not fed and not _feeder.is_busy(ended):
                return False
            if ended >= until:
                return True
            pause = LOOK_SECONDS if _feeder.is_waiting else CALM_LOOK_SECONDS
            rest = max(0.01, max(pause, _feeder.took / LOOKING_SHARE) - _feeder.took)
            if _feeder.is_waiting:
                stopping.wait(rest)
            else:
                wait_for_kick(rest)
    return False
