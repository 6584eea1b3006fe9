"""The names under which the audit trail keeps what is done to locks and scheduled jobs."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    LOCK_FORCE_RELEASE = "lock.force_release"
