"""Which of the processes evaluates the alarms: the one that holds the lease.

The lease saves work and does not make anything right: what two evaluators do at once is kept apart by the rows (see `store`). It is kept
in Redis; while that is away, in the database; while both are, in a file that the processes of one machine share. A holder that dies
loses it after `SECONDS`.
"""

import fcntl
import os
import socket
import tempfile
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from monitor.health import parts
from monitor.models import EvaluatorLease
from posthaste import env
from posthaste.lib import redis
from posthaste.lib.ids import new_id

log = structlog.get_logger(__name__)
SECONDS = 15.0
# KEYS lease. ARGV who asks, milliseconds. Returns 1 if the lease is theirs, for so long from now.
HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Place(StrEnum):
    """Where the lease is held."""

    REDIS = "redis"
    DATABASE = "database"
    MACHINE = "machine"


class Lease:
    """One candidate's view of the lease."""

    def __init__(self) -> None:
        self.me = f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-8:]}"[:100]
        self._file: IO[str] | None = None

    def hold(self) -> Place | None:
        """Take or renew the lease and return where it is held; None: another process has it."""
        try:
            held = self._in_redis()
        except redis.Unavailable:
            try:
                held, place = self._in_database(), Place.DATABASE
            except (DatabaseError, InterfaceError):
                held, place = self._on_machine(), Place.MACHINE
        else:
            place = Place.REDIS
        if place != Place.MACHINE:
            self._close_file()
        return place if held else None

    def release(self) -> None:
        """Give the lease up, so that another process goes on at once."""
        self._close_file()
        try:
            if redis.client().get(_key()) == self.me.encode():
                redis.client().delete(_key())
        except redis.Unavailable:
            pass  # it expires

    def _in_redis(self) -> bool:
        return bool(redis.client().eval(HOLD, 1, _key(), self.me, int(SECONDS * 1000)))

    def _in_database(self) -> bool:
        if not parts.look([parts.DATABASE])[0].is_well:  # one that hangs would hold this thread up for as long
            raise OperationalError("It does not respond.")
        now = timezone.now()
        until = now + timedelta(seconds=SECONDS)
        rows = EvaluatorLease.objects.filter(Q(holder=self.me) | Q(until__lt=now), pk=EvaluatorLease.ONLY)
        if rows.update(holder=self.me, until=until):
            return True
        _row, is_new = EvaluatorLease.objects.get_or_create(pk=EvaluatorLease.ONLY, defaults={"holder": self.me, "until": until})
        return is_new

    def _on_machine(self) -> bool:
        connection.close()
        if self._file is not None:
            return True
        file = _path().open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()  # and unlocks
            self._file = None


def _key() -> str:
    return redis.key("alarms", "evaluator")


def _path() -> Path:
    return Path(tempfile.gettempdir()) / f"posthaste-{env.load().redis_prefix}-{os.getuid()}-alarms.lock"
