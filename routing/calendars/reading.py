"""The calendar that counts for a tenant: the one of a name, else its default one, else the hours of the module `service_levels`.

Each process asks the database at most once a second, and only while calendars are used, which versions there are. What has not changed is
not read again.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date
from typing import Any
from uuid import UUID

from posthaste.lib import zones
from posthaste.lib.process_state import on_reset
from routing.calendars.opening import DAY_SECONDS, OpeningTimes, Period
from routing.configuration import ServiceLevels, service_levels
from routing.configuration.hours import MIDNIGHT, OpenHours
from routing.models import BusinessCalendar, CalendarDay, DayKind

LOOK_SECONDS = 1.0
COLUMNS = ("pk", "name", "version", "is_default")
Row = tuple[UUID, str, int, bool]
MAX_TENANTS = 1_000


@dataclass(slots=True)
class _Place:
    """What this process knows of a tenant's calendars: by id the version and what was made of it, the names, and the default one."""

    look_at: float = 0.0
    made: dict[UUID, tuple[int, OpeningTimes]] = field(default_factory=dict)
    by_name: dict[str, UUID] = field(default_factory=dict)
    default: UUID | None = None
    module: tuple[ServiceLevels, OpeningTimes] | None = None


class Calendars:
    """The calendars in this process. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: OrderedDict[int, _Place] = OrderedDict()

    def of(self, tenant_id: int, name: str = "") -> OpeningTimes:
        """Return the opening times of a tenant's calendar."""
        place = self._looked_at(tenant_id)
        wanted = place.by_name.get(name) if name else None
        found = place.made.get(wanted or place.default) if wanted or place.default else None  # type: ignore[arg-type]
        return found[1] if found else self._of_module(tenant_id, place)

    def fingerprint_of(self, tenant_id: int) -> str:
        """Return what is the same as long as all of a tenant's calendars are."""
        place = self._looked_at(tenant_id)
        made = place.made  # another thread may replace it at any moment
        found = made.get(place.default) if place.default else None
        default = found[1] if found else self._of_module(tenant_id, place)
        named = (f"{name}={made[pk][1].fingerprint}" for name, pk in sorted(place.by_name.items()) if pk in made)
        return ",".join((default.fingerprint, *named))

    def forget(self, tenant_id: int | None = None) -> None:
        """Look again at the next call; None: at all tenants."""
        with self._lock:
            for place in self._places.values() if tenant_id is None else [self._places.setdefault(tenant_id, _Place())]:
                place.look_at = 0.0

    def clear(self) -> None:
        """Forget all calendars."""
        with self._lock:
            self._places.clear()

    def _looked_at(self, tenant_id: int) -> _Place:
        place = self._place(tenant_id)
        if self._clock() >= place.look_at:
            self._take(place, list(BusinessCalendar.objects.filter(tenant_id=tenant_id).values_list(*COLUMNS)))
        return place

    def _place(self, tenant_id: int) -> _Place:
        with self._lock:
            place = self._places.setdefault(tenant_id, _Place())
            self._places.move_to_end(tenant_id)
            while len(self._places) > MAX_TENANTS:
                self._places.popitem(last=False)
        return place

    def look_at(self, tenant_ids: Collection[int]) -> None:
        """Look now which calendars many tenants have; one query where nothing changed."""
        found: dict[int, list[Row]] = {tenant_id: [] for tenant_id in tenant_ids}
        for tenant_id, *row in BusinessCalendar.objects.filter(tenant_id__in=list(found)).values_list("tenant_id", *COLUMNS):
            found[tenant_id].append((row[0], row[1], row[2], row[3]))
        for tenant_id, rows in found.items():
            self._take(self._place(tenant_id), rows)

    def _take(self, place: _Place, rows: Collection[Row]) -> None:
        """Keep what has not changed, and read the rest."""
        made = {pk: place.made[pk] for pk, _name, version, _default in rows if pk in place.made and place.made[pk][0] == version}
        if changed := [pk for pk, *_rest in rows if pk not in made]:
            for row in BusinessCalendar.objects.filter(pk__in=changed).prefetch_related("days"):
                made[row.pk] = (row.version, compiled(row, row.days.all()))
        place.made = made
        place.by_name = {name: pk for pk, name, _version, _default in rows if pk in made}
        place.default = next((pk for pk, _name, _version, is_default in rows if is_default and pk in made), None)
        place.look_at = self._clock() + LOOK_SECONDS

    def _of_module(self, tenant_id: int, place: _Place) -> OpeningTimes:
        settings = service_levels.of(tenant_id)
        if place.module is None or place.module[0] is not settings:
            place.module = (settings, of_module(settings))
        return place.module[1]


_calendars = Calendars()
on_reset(_calendars.clear)


def calendar_of(tenant_id: int, name: str = "") -> OpeningTimes:
    """Return the opening times of a tenant's calendar by its short name; of the default one if the name is empty or unknown."""
    return _calendars.of(tenant_id, name)


def fingerprint_of(tenant_id: int) -> str:
    """Return what is the same as long as none of a tenant's calendars, and not the choice of the default one, changes."""
    return _calendars.fingerprint_of(tenant_id)


def look_at(tenant_ids: Collection[int]) -> None:
    """Look now which calendars tenants have; one query where nothing changed."""
    _calendars.look_at(tenant_ids)


def forget(tenant_id: int | None = None) -> None:
    """Have this process look at the calendars of a tenant, or of all, at the next call."""
    _calendars.forget(tenant_id)


def of_module(settings: ServiceLevels) -> OpeningTimes:
    """Return the opening times that the module `service_levels` has."""
    days: dict[date, list[Period]] = {date.fromisoformat(day): [] for day in settings.holidays}
    return OpeningTimes(zones.zone(settings.time_zone) or UTC, _week(settings.hours), days)


def compiled(calendar: BusinessCalendar, days: Iterable[CalendarDay]) -> OpeningTimes:
    """Return the opening times of a calendar with its days."""
    week = _week(OpenHours.model_validate(each) for each in calendar.hours)
    usual = next((periods for periods in week if periods), [])
    special: dict[date, list[Period]] = {}
    for each in days:
        worked = [_period(start, end) for start, end in each.hours] or usual
        special[each.day] = worked if each.kind == DayKind.WORKING else []
    return OpeningTimes(zones.zone(calendar.time_zone) or UTC, week, special)


def _week(hours: Iterable[OpenHours]) -> list[list[Period]]:
    week: list[list[Period]] = [[] for _day in range(7)]
    for each in hours:
        week[each.day - 1].append(_period(each.start, each.end))
    return week


def _period(start: Any, end: Any) -> Period:
    return _seconds(start), DAY_SECONDS if end == MIDNIGHT else _seconds(end)


def _seconds(clock: str) -> int:
    hours, _colon, minutes = clock.partition(":")
    return int(hours) * 3600 + int(minutes) * 60
