"""When a job fires: cron, interval or once, in its own time zone, on the days of its calendar.

Fire times are a pure function of the schedule and of the moment after which one looks; nothing depends on when, how often or by how many
beat processes it is asked. Cron follows Debian's rules at clock changes (cronsim): a job at a fixed time that the clock skips runs right
after the gap, one whose time comes twice runs once; a job with a `*` in its minute or hour keeps to real time. Intervals of whole days keep
the time of day of their zone, shorter ones are exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from jobs.services import calendars

DAY = timedelta(days=1)
#: How often a fire time on a day off is passed over before a schedule counts as one that never comes round.
MAX_DAYS_OFF = 4000
#: How far back one looks for the last fire time that was missed, nearest first.
BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=400))


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a job fires. Exactly one of `cron`, `every` and `at` is set."""

    cron: str = ""
    every: timedelta | None = None
    at: datetime | None = None
    zone: str = "UTC"
    calendar: str = ""
    anchor: datetime = datetime(2000, 1, 1, tzinfo=UTC)  # what an interval counts from; it does not fire then
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first fire time after a moment, in UTC, or None where there is none any more."""
        if self.starts_at is not None:
            moment = max(moment, self.starts_at - timedelta(microseconds=1))
        zone = ZoneInfo(self.zone)
        last_year = None if self.at is not None else calendars.last_year(self.calendar)
        for _try in range(MAX_DAYS_OFF):
            found = self._next(moment, zone)
            if found is None or (self.ends_at is not None and found > self.ends_at):
                return None
            local = found.astimezone(zone)
            if last_year is not None and local.year > last_year:  # not known to be a working day
                return None
            if self.at is not None or calendars.is_working_day(self.calendar, local.date()):
                return found
            following = datetime.combine(local.date() + DAY, time(), tzinfo=zone)
            moment = max(found, following.astimezone(UTC) - timedelta(microseconds=1))
        return None

    def upcoming(self, moment: datetime, number: int = 5) -> list[datetime]:
        """Return the next fire times after a moment."""
        found: list[datetime] = []
        while len(found) < number and (following := self.next_after(found[-1] if found else moment)) is not None:
            found.append(following)
        return found

    def last_until(self, *, after: datetime, until: datetime) -> datetime | None:
        """Return the last fire time with `after` < time ≤ `until`, or None."""
        for back in BACK:
            start = max(after, until - back)
            last, following = None, self.next_after(start)
            while following is not None and following <= until:
                last, following = following, self.next_after(following)
            if last is not None or start == after:
                return last
        return self.next_after(after)

    def _next(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        if self.at is not None:
            return self.at.astimezone(UTC) if self.at > moment else None
        if self.every is None:
            return next(_cron_after(self.cron, moment, zone), None)
        if self.every % DAY:
            steps = max(1, (moment - self.anchor) // self.every + 1)
            return (self.anchor + steps * self.every).astimezone(UTC)
        start = self.anchor.astimezone(zone).replace(tzinfo=None)
        steps = max(1, (moment.astimezone(zone).replace(tzinfo=None) - start) // self.every - 1)
        while (found := (start + steps * self.every).replace(tzinfo=zone).astimezone(UTC)) <= moment:
            steps += 1
        return found


def _cron_after(expression: str, moment: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    last = moment
    for local in CronSim(expression, moment.astimezone(zone)):
        found = local.astimezone(UTC)
        # In the repeated hour a fixed time is told by its first pass, which may lie before the moment one looks from.
        if found > last:
            last = found
            yield found
