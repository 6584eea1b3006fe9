"""The names under which the audit trail keeps what is done to locks and scheduled jobs."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    JOB_CREATE = "job.create"
    JOB_CHANGE = "job.change"
    JOB_DELETE = "job.delete"
    JOB_ENABLE = "job.enable"
    JOB_DISABLE = "job.disable"
    JOB_RUN = "job.run"
    JOB_STOP = "job.stop"
    LOCK_FORCE_RELEASE = "lock.force_release"
