"""What a tenant promises at this moment: the targets and calendars that clocks are calculated from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from configcenter import hot
from routing.calendars import reading
from routing.calendars.opening import OpeningTimes
from routing.configuration import ServiceLevels, service_levels
from routing.configuration.targets import Target, target_for
from routing.models import Clock, ClockMetric
from routing.service_levels import timeline

MINUTES = {
    ClockMetric.FIRST_RESPONSE: "first_response_minutes",
    ClockMetric.NEXT_RESPONSE: "next_response_minutes",
    ClockMetric.RESOLUTION: "resolution_minutes",
}


@dataclass(frozen=True, slots=True)
class Levels:
    """The service levels of a tenant, all of one moment."""

    tenant_id: int
    settings: ServiceLevels
    release: int
    #: Up to which publish the process knew all that this is from.
    revision: int
    basis: str

    def uses_levels(self) -> bool:
        """Return whether any target asks for the customer's level."""
        return any(each.level for each in self.settings.targets)

    def target(self, facts: Mapping[str, Any], *, is_ticket: bool) -> Target | None:
        """Return what is promised for what a clock was started for; None: nothing."""
        return target_for(
            self.settings.targets,
            priority=str(facts.get("priority", "normal")),
            level=str(facts.get("level", "")),
            type=str(facts.get("type", "")),
            is_ticket=is_ticket,
        )

    def calculate(self, clock: Clock) -> bool:
        """Set what follows for a clock from its facts, start and pauses; False, and nothing is set: nothing is promised for it.

        What was told stays: the due time of a clock that is breached is the one that it was breached by.
        """
        target = self.target(clock.facts, is_ticket=clock.ticket_id is not None)
        by_day = clock.metric == ClockMetric.DUE_DAY
        if target is None and not by_day:
            return False
        calendar = target.calendar if target else ""
        clock.config_version, clock.config_revision, clock.basis = self.release, self.revision, self.basis
        if clock.breached_at is None:
            clock.calendar = calendar
            clock.target_minutes = 0 if target is None or by_day else getattr(target, MINUTES[ClockMetric(clock.metric)])
            found = self._due(clock, self.opening(calendar))
            clock.warn_at, clock.due_at = found.warn_at, found.due_at
        return True

    def opening(self, calendar: str) -> OpeningTimes:
        """Return the opening times of a calendar."""
        return reading.calendar_of(self.tenant_id, calendar)

    def _due(self, clock: Clock, opening: OpeningTimes) -> timeline.Due:
        if clock.metric == ClockMetric.DUE_DAY:
            return timeline.due_by_day(opening, date.fromisoformat(clock.facts["due_on"]), now=clock.started_at)
        return timeline.due(
            opening,
            started_at=clock.started_at,
            target_seconds=clock.target_minutes * 60,
            warn_percent=self.settings.warn_percent,
            pauses=timeline.read(clock.pauses),
        )


def levels_of(tenant_id: int) -> Levels:
    """Return what a tenant promises now."""
    revision = hot.revision()  # before the values: one that is too old is looked at again, one that is too new never
    applied = service_levels.now
    settings = applied.of(tenant_id)
    return Levels(tenant_id, settings, applied.release_of(tenant_id), revision, _basis(_told(settings), reading.fingerprint_of(tenant_id)))


_told_of: dict[int, tuple[ServiceLevels, str]] = {}


def _told(settings: ServiceLevels) -> str:
    """Return the settings as text, made once for each that is in force."""
    known = _told_of.get(id(settings))
    if known is None or known[0] is not settings:
        if len(_told_of) > 1_000:
            _told_of.clear()
        known = _told_of[id(settings)] = (settings, settings.model_dump_json(include={"targets", "warn_percent"}))
    return known[1]


@lru_cache(maxsize=1_000)
def _basis(settings: str, calendars: str) -> str:
    return blake2b(f"{settings}\n{calendars}".encode(), digest_size=8).hexdigest()
