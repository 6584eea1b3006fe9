"""Arithmetic on opening times.

A desk is open at a moment if the clock on its wall then shows a time within its hours. So an hour that a change of clocks leaves out is
no working time, and one that comes twice counts twice. What is computed is exact to the microsecond. Each UTC day is worked out once.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from hashlib import blake2b

#: Seconds of a local day, from and until; 86,400 is the end of the day.
Period = tuple[int, int]
#: Microseconds since 1970.
Span = tuple[int, int]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000
DAY_SECONDS = 86_400
DAY = DAY_SECONDS * SECOND
#: Zones change their clocks at most once in such a span.
PROBE_SECONDS = 3 * 3600
#: What is not reached within so many days is not reached: twenty years.
MAX_DAYS = 7_305
MAX_KEPT = 20_000
MORNING = 9 * 3600


class OpeningTimes:
    """The opening times of one calendar: never changed, only replaced."""

    def __init__(self, zone: tzinfo, week: Sequence[Sequence[Period]], days: Mapping[date, Sequence[Period]] | None = None) -> None:
        """Take the periods of Monday to Sunday, and those of the days that differ; no period: closed."""
        self.zone = zone
        self._week = tuple(_tidied(periods) for periods in week)
        self._days = {day: _tidied(periods) for day, periods in (days or {}).items()}
        self._last_special = max((day for day, periods in self._days.items() if periods), default=date.min)
        self._known: dict[int, tuple[Span, ...]] = {}
        told = repr((str(zone), self._week, sorted(self._days.items())))
        #: The same for the same opening times.
        self.fingerprint = blake2b(told.encode(), digest_size=8).hexdigest()

    def periods_of(self, day: date) -> tuple[Period, ...]:
        """Return the periods of a local day, in order."""
        found = self._days.get(day)
        return self._week[day.weekday()] if found is None else found

    def is_open(self, moment: datetime) -> bool:
        """Return whether a moment lies within the opening times."""
        at = _since_epoch(moment)
        return any(start <= at < end for start, end in self._spans(at // DAY))

    def business_seconds_between(self, start: datetime, end: datetime) -> float:
        """Return the opening time from one moment to another; 0 if the other comes first."""
        return self._between(_since_epoch(start), _since_epoch(end)) / SECOND

    def add_business_seconds(self, start: datetime, seconds: float) -> datetime | None:
        """Return the first moment by which so much opening time has passed since `start`; None if it hasn't in twenty years."""
        wanted = round(seconds * SECOND)
        if wanted <= 0:
            return start
        at = _since_epoch(start)
        for span_start, span_end in self._from(at):
            if span_end - span_start >= wanted:
                return _moment(span_start + wanted)
            wanted -= span_end - span_start
        return None

    def next_opening(self, moment: datetime) -> datetime | None:
        """Return the moment itself if it is open, else when it opens; None if it doesn't in twenty years."""
        first = next(self._from(_since_epoch(moment)), None)
        return _moment(first[0]) if first else None

    def end_of_day(self, day: date) -> datetime | None:
        """Return by when something due on a local day has to be done, which is never at midnight; None: it never opens.

        It is when the desk closes for the day. A day that is closed, or open to its end, is due when work begins on the next day that is
        open.
        """
        spans = list(self._spans_of(day))
        if spans and not any(end == DAY_SECONDS for _start, end in self.periods_of(day)):
            return _moment(spans[-1][1])
        opens = self.next_opening(_local(day + timedelta(days=1), 0, self.zone))
        return self.start_of_day(opens.astimezone(self.zone).date()) if opens else None

    def start_of_day(self, day: date) -> datetime | None:
        """Return when work begins on a local day: at its opening, but where that is at midnight at nine o'clock. None: it is closed.

        A day that closes before nine begins when it closes.
        """
        spans = list(self._spans_of(day))
        if not spans or self.periods_of(day)[0][0] > 0:
            return _moment(spans[0][0]) if spans else None
        morning = _since_epoch(_local(day, MORNING, self.zone))
        return _moment(next((max(start, morning) for start, end in spans if end > morning), spans[-1][1]))

    def _between(self, start: int, end: int) -> int:
        total = 0
        for day in range(start // DAY, (end - 1) // DAY + 1) if end > start else ():
            for span_start, span_end in self._spans(day):
                total += max(0, min(span_end, end) - max(span_start, start))
        return total

    def _from(self, at: int) -> Iterator[Span]:
        """Yield what is open from a moment on."""
        first = at // DAY
        last = first + MAX_DAYS
        if not any(self._week):  # only days of their own
            last = min(last, (self._last_special - EPOCH.date()).days + 1)
        for day in range(first, last + 1):
            for start, end in self._spans(day):
                if end > at:
                    yield max(start, at), end

    def _spans_of(self, day: date) -> Iterator[Span]:
        """Yield what is open of a local day."""
        number = (day - EPOCH.date()).days
        for utc_day in (number - 1, number, number + 1):
            for start, end in self._spans(utc_day):
                if _moment(start).astimezone(self.zone).date() == day:
                    yield start, min(end, _since_epoch(_local(day + timedelta(days=1), 0, self.zone)))

    def _spans(self, utc_day: int) -> tuple[Span, ...]:
        """Return what is open of a day of UTC, in order."""
        found = self._known.get(utc_day)
        if found is None:
            if len(self._known) >= MAX_KEPT:
                self._known.clear()
            found = self._known[utc_day] = tuple(_joined(sorted(self._compiled(utc_day * DAY_SECONDS))))
        return found

    def _compiled(self, start: int) -> Iterator[Span]:
        for segment_start, segment_end, offset in self._segments(start, start + DAY_SECONDS):
            first, last = (segment_start + offset) // DAY_SECONDS, (segment_end + offset - 1) // DAY_SECONDS
            for number in range(first, last + 1):
                midnight = number * DAY_SECONDS - offset
                for opens, closes in self.periods_of(EPOCH.date() + timedelta(days=number)):
                    begin, end = max(segment_start, midnight + opens), min(segment_end, midnight + closes)
                    if begin < end:
                        yield begin * SECOND, end * SECOND

    def _segments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the parts of a span between changes of clocks: from, until, and by how much the zone is ahead of UTC."""
        begin, offset = start, self._offset(start)
        for probe in range(start + PROBE_SECONDS, end + 1, PROBE_SECONDS):
            if (after := self._offset(min(probe, end - 1))) == offset:
                continue
            change = begin_of = max(begin, probe - PROBE_SECONDS)
            change += bisect_right(range(probe - begin_of), False, key=lambda step, base=begin_of: self._offset(base + step) != offset)  # type: ignore[misc]
            yield begin, change, offset
            begin, offset = change, after
        yield begin, end, offset

    def _offset(self, at: int) -> int:
        offset = (EPOCH + timedelta(seconds=at)).astimezone(self.zone).utcoffset() or timedelta()
        return round(offset.total_seconds())


def _tidied(periods: Sequence[Period]) -> tuple[Period, ...]:
    return tuple(_joined(sorted((start, end) for start, end in periods if start < end)))


def _joined(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield spans in order, those that touch or overlap as one."""
    begin, end = None, 0
    for span_start, span_end in spans:
        if begin is not None and span_start <= end:
            end = max(end, span_end)
            continue
        if begin is not None:
            yield begin, end
        begin, end = span_start, span_end
    if begin is not None:
        yield begin, end


def _since_epoch(moment: datetime) -> int:
    return (moment - EPOCH) // MICROSECOND


def _moment(at: int) -> datetime:
    return EPOCH + timedelta(microseconds=at)


def _local(day: date, seconds: int, zone: tzinfo) -> datetime:
    """Return when a time of a local day is; one that is left out by a change of clocks: when the clocks are changed."""
    at = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(seconds=seconds)
    return at.astimezone(UTC)
