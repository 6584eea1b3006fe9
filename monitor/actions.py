"""The names under which the audit trail keeps what is done to alarms."""

from enum import StrEnum


class Action(StrEnum):
    """One event, one name, whichever way it came."""

    ALARM_ACKNOWLEDGE = "alarm.acknowledge"
    ALARM_REOPEN = "alarm.reopen"
    ALARM_TEST = "alarm.test"
    SILENCE_CREATE = "alarm.silence"
    SILENCE_END = "alarm.silence.end"
