"""The run of a job that the code at hand belongs to."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from uuid import UUID


class Stopped(Exception):
    """The run was stopped, timed out, or was taken over by another one."""


@dataclass(frozen=True, slots=True)
class CurrentRun:
    """A run in progress. `lost` is set as soon as it is known to be over."""

    id: UUID
    name: str  # of its fence
    fencing_token: int
    nominal_at: datetime
    shard: int = 0
    shards: int = 1
    lost: Event = field(default_factory=Event)

    def check(self) -> None:
        """Do nothing as long as the run may go on; a job in a thread asks this between its steps.

        Raises:
            Stopped: it may not.
        """
        if self.lost.is_set():
            raise Stopped(str(self.id))


_current: ContextVar[CurrentRun | None] = ContextVar("job_run", default=None)


def run() -> CurrentRun | None:
    """Return the run that the caller is part of, or None."""
    return _current.get()


@contextmanager
def within(entered: CurrentRun) -> Iterator[None]:
    """Make a run the current one for the block."""
    token = _current.set(entered)
    try:
        yield
    finally:
        _current.reset(token)
