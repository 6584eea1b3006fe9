"""The evaluator: a thread in each `web`, `ws` and `beat` process, of which the one that holds the lease does the work.

It needs neither a worker nor beat, so it notices when those are gone. Each turn it reads the metrics, steps the alarms, and hands over
what has to be told. What if something is away:

- *Redis*: the lease is kept in the database.
- *the database*: the alarms go on in memory, and notices go straight. What happened is written down when it is back.
- *both*: the same, one evaluator a machine.
- *the evaluator's process*: another one takes the lease after fifteen seconds, and goes on from the rows.
"""

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections, connection
from django.utils import timezone

from monitor import figures
from monitor.alarms import dispatch, notices, samples, states, store, straight, told, windows
from monitor.alarms.configuration import Alarms, alarms
from monitor.alarms.lease import Lease, Place
from monitor.alarms.notices import Due, Told
from monitor.alarms.rules import ROBOTS, AlarmRule
from monitor.alarms.states import Episode, Phase
from monitor.alarms.store import Known, Overtaken
from posthaste.lib import http, redis

log = structlog.get_logger(__name__)
EVERY_SECONDS = 4.0
BUSY_SECONDS = 1.5  # while an alarm is open or a notice has not left
STANDBY_SECONDS = 5.0  # where another process has the lease
FRESH_SECONDS = 1.0  # no figure is older
#: Rules that hold for less are about metrics that are read at every turn; the others are read less often, which an idle installation is
#: spared.
QUICK_SECONDS, SLOW_SECONDS = 30, 20.0
LEAST_SECONDS = 0.5  # between two turns, however long one took
HEARTBEAT_SECONDS = 60.0
REFRESH_SECONDS = 60.0
VALUES_SECONDS = 60.0  # the rows of active alarms follow their values so often
CLEAN_SECONDS = 3_600.0
#: The platform sends nothing without these.
NEEDED_PARTS = ("database", "redis", "broker")
NEEDED_PROCESS = "send"
NEEDED = {"up", "processes"}  # the metrics that tell it
AWAY = (DatabaseError, InterfaceError)

_started: set[int] = set()


def start(kind: str) -> None:
    """Evaluate from a daemon thread whenever this process holds the lease; calling it again does nothing."""
    if os.getpid() in _started:
        return
    _started.add(os.getpid())
    evaluator = Evaluator()
    threading.Thread(target=evaluator.run, name=f"alarms-{kind}", daemon=True).start()


def never_here() -> None:
    """Make a later `start` in this process do nothing: for tests."""
    _started.add(os.getpid())


class Evaluator:
    """One candidate, and what it remembers between turns."""

    def __init__(self) -> None:
        self.lease = Lease()
        self.known = Known()
        #: While the database is away: what is not written yet.
        self.unwritten: list[tuple[Due, datetime]] = []
        self.is_degraded = False
        self._has_forgotten = False  # what was told while the database was away
        self.is_busy = False
        self._next = dict.fromkeys(("samples", "values", "heartbeat", "refresh", "clean"), 0.0)
        self._sender: dispatch.Sender | None = None

    def run(self) -> None:
        """Evaluate for as long as the process lives."""
        pause = threading.Event()
        while True:
            began = time.monotonic()
            held = self.take_turn()
            every = STANDBY_SECONDS if not held else BUSY_SECONDS if self.is_busy else EVERY_SECONDS
            pause.wait(max(LEAST_SECONDS, every - (time.monotonic() - began)))

    def take_turn(self) -> bool:
        """Evaluate once if this process holds the lease, and return whether it does; whatever goes wrong, there is a next turn."""
        place = None
        try:
            place = self.lease.hold()
            if place is not None:
                self.turn(place, now=timezone.now())
        except Exception:
            log.exception("alarms not evaluated")
        finally:
            close_old_connections()
            connection.close()
        return place is not None

    def turn(self, place: Place, *, now: datetime) -> None:
        """Evaluate once."""
        settings = alarms.value
        rules = settings.rules_by_name
        urgent = NEEDED | {rule.metric for rule in rules.values() if 0 < rule.for_seconds < QUICK_SECONDS}
        read = figures.read(urgent, max_age_seconds=FRESH_SECONDS)
        read |= figures.read({rule.metric for rule in rules.values()} - urgent, max_age_seconds=SLOW_SECONDS)
        readings = {name: readings_of(rule, read) for name, rule in rules.items()}
        works, is_done = platform_works(read), True
        try:
            if is_away(read, "database"):  # one that hangs would hold this thread up for as long
                raise OperationalError("It does not respond.")
            self._recover(rules, settings)
            known = store.load(now=now)
            self._step(settings, readings, known, works=works, now=now)
        except Overtaken:
            return  # the next turn reads anew
        except AWAY as error:
            is_done = place != Place.DATABASE  # where nothing was written, the lease may be another's by now
            if is_done:
                self._step_degraded(settings, readings, now=now, error=error)
        # An evaluator that sees nothing evaluates nothing, and the heartbeat has to stop.
        self._chores(settings, readings, is_alive=is_done and any(reading is not None for reading in readings.values()), now=now)

    def _step(self, settings: Alarms, readings: Mapping[str, states.Readings | None], known: Known, *, works: bool, now: datetime) -> None:
        """Step the alarms, write what changed, and hand over what is due."""
        rules = settings.rules_by_name
        changed = states.evaluate(rules, readings, known.episodes, now=now)
        after = self._marked(changed, known, rules, now)
        store.save(after, known, rules, with_values=self._is_time("values", VALUES_SECONDS))
        self.known, self.is_degraded = known, False
        if not self._has_forgotten:
            told.forget_all()
            self._has_forgotten = True
        everything = [*known.episodes.values(), *known.earlier]
        self._refresh(settings)
        for due in notices.due(settings, everything, known.told, now=now):
            if dispatch.hand_over(due, settings, self._sender, platform_works=works, now=now):
                known.told += [Told(line, due.group, now) for line, _episode in due.lines]
        windows.tell(known.silences, everything, settings, self._sender, platform_works=works, now=now)
        waiting = dispatch.follow_up(settings, platform_works=works, now=now)
        self.is_busy = bool(waiting) or any(one.phase != Phase.RESOLVED and not one.acknowledged_at for one in everything)
        ended = [one.id for one in everything if one.phase == Phase.RESOLVED and notices.is_settled(one, settings, known.told)]
        store.save({}, known, rules, settled=ended)

    def _marked(
        self,
        changed: Mapping[tuple[str, str], Episode | None],
        known: Known,
        rules: Mapping[str, AlarmRule],
        now: datetime,
    ) -> dict[tuple[str, str], Episode | None]:
        """Note silences and inhibitions on the open alarms."""
        present = {key: one for key, one in (dict(known.episodes) | dict(changed)).items() if one is not None}
        marked = dict(changed)
        for key, episode in present.items():
            if episode.phase == Phase.RESOLVED:
                continue
            silence = store.silence_of(episode, known.silences, now=now)
            inhibitor = notices.inhibitor_of(episode, rules, present.values())
            if (silence is not None) != episode.is_silenced or inhibitor != episode.inhibited_by:
                marked[key] = replace(episode, is_silenced=silence is not None, inhibited_by=inhibitor)
        return marked

    # --- while the database is away ------------------------------------------------------------------------------

    def _step_degraded(self, settings: Alarms, readings: Mapping[str, states.Readings | None], *, now: datetime, error: Exception) -> None:
        """Step the alarms in memory, and send straight."""
        if not self.is_degraded:
            log.warning("alarms go on without the database", error=str(error)[:200])
        self.is_degraded, self._has_forgotten = True, False
        known, rules = self.known, settings.rules_by_name
        changed = states.evaluate(rules, readings, known.episodes, now=now)
        for key, episode in self._marked(changed, known, rules, now).items():
            if episode is None:
                known.episodes.pop(key, None)
                continue
            before = known.episodes.get(key)
            if before is not None and before.phase == Phase.RESOLVED and before.id != episode.id:
                known.earlier.append(before)
            if episode.phase == Phase.RESOLVED:
                told.forget(episode)
            known.episodes[key] = episode
        for due in notices.due(settings, [*known.episodes.values(), *known.earlier], known.told, now=now):
            fresh = tuple((line, episode) for line, episode in due.lines if told.is_first(line, episode))
            known.told += [Told(line, due.group, now) for line, _episode in due.lines]
            if fresh:
                sent = replace(due, lines=fresh)
                dispatch.send_unwritten(sent, settings)
                self.unwritten.append((sent, now))

    def _recover(self, rules: Mapping[str, AlarmRule], settings: Alarms) -> None:
        """Write down what happened while the database was away.

        Raises:
            django.db.DatabaseError: it still is.
        """
        if not self.is_degraded:
            return
        memory, present = self.known, store.load(now=timezone.now())
        changed = {
            key: episode
            for key, episode in memory.episodes.items()
            if (row := present.episodes.get(key)) is None or row.id == episode.id or row.phase == Phase.RESOLVED
        }
        missing = [one for one in memory.earlier if one.id not in present.versions]
        for episode in missing:
            store.save({episode.key: episode}, present, rules)
        store.save(changed, present, rules)
        for due, at in self.unwritten:
            dispatch.write_sent(due, settings, at=at)
        log.info("alarms are kept in the database again", notices=len(self.unwritten))
        self.unwritten, self.is_degraded = [], False

    # --- now and then ---------------------------------------------------------------------------------------------

    def _is_time(self, what: str, seconds: float) -> bool:
        if time.monotonic() < self._next[what]:
            return False
        self._next[what] = time.monotonic() + seconds
        return True

    def _refresh(self, settings: Alarms) -> None:
        """Keep the sender and its providers at hand, for when the database is away."""
        if not self._is_time("refresh", REFRESH_SECONDS):
            return
        self._sender = dispatch.sender(settings)
        if self._sender is not None:
            channels = {receiver.kind.channel for receiver in settings.receivers if receiver.kind not in ROBOTS}
            straight.adapters.refresh(self._sender.tenant_id, channels)

    def _chores(self, settings: Alarms, readings: Mapping[str, states.Readings | None], *, is_alive: bool, now: datetime) -> None:
        """Keep samples, call the dead man's heartbeat if the alarms were evaluated, and delete what is old."""
        if self._is_time("samples", samples.EVERY.total_seconds()):
            values = {
                (rule, series): value
                for rule, read in readings.items()
                for series, value in list((read or {}).items())[: samples.MAX_SERIES]
                if value is not None
            }
            try:
                samples.write(values, now=now)
            except redis.Unavailable:
                pass  # the plot has a gap
        if settings.heartbeat_url and is_alive and self._is_time("heartbeat", HEARTBEAT_SECONDS):
            dispatch.in_background(partial(call_heartbeat, settings.heartbeat_url))
        if not self.is_degraded and self._is_time("clean", CLEAN_SECONDS):
            store.delete_old(keep=timedelta(days=settings.keep_days), now=now)


def readings_of(rule: AlarmRule, read: Mapping[str, figures.Figure]) -> states.Readings | None:
    """Return what a rule watches, by series; None where its metric gives no data."""
    figure = read.get(rule.metric)
    if figure is None or not figure.is_known:
        return None
    wanted = rule.labels
    return {series_of(figure.metric.labels, values, wanted): number for values, number in figure.matching(wanted).items()}


def series_of(labels: tuple[str, ...], values: tuple[str, ...], wanted: Mapping[str, str]) -> str:
    """Name a series by its labels, without those that the rule fixes: `provider=FCM`."""
    return ", ".join(f"{name}={value}" for name, value in zip(labels, values, strict=True) if name not in wanted)[:200]


def is_away(read: Mapping[str, figures.Figure], part: str) -> bool:
    """Return whether a part was asked and did not answer in time."""
    up = read.get("up")
    return up is not None and up.values.get((part,)) == 0


def platform_works(read: Mapping[str, figures.Figure]) -> bool:
    """Return whether the platform can send: its services answer, and there is a worker."""
    up, processes = read.get("up"), read.get("processes")
    if up is None or not up.is_known or processes is None or not processes.is_known:
        return False
    parts = {values[0]: number for values, number in up.values.items()}
    workers = {values[0]: number for values, number in processes.values.items()}
    return all(parts.get(part) == 1 for part in NEEDED_PARTS) and workers.get(NEEDED_PROCESS, 0) > 0


def call_heartbeat(url: str) -> bool:
    """Tell an outside service that alarms are evaluated; it notifies people when the calls stop."""
    try:
        answer = http.client().request("GET", url, total_timeout=10.0, max_body=1_024)
    except http.OutboundError as error:
        log.warning("heartbeat not delivered", error=error.code)
        return False
    return 200 <= answer.status < 300
