"""What is measured of a set of conversations. Percentiles are computed here, so that both databases give the same ones."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

#: A score from here on says that the customer is satisfied: the usual reading of CSAT on a scale of 1 to 5.
SATISFIED_FROM = 4


def percentile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least this share of the values does not exceed (nearest rank); None: there are none."""
    if not values:
        return None
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def percent(part: int, whole: int) -> float | None:
    """Return a share in per cent with one decimal; None: of nothing."""
    return round(100 * part / whole, 1) if whole else None


@dataclass(slots=True)
class Measures:
    """Counts and times, added up fact by fact. Times are in seconds."""

    received: int = 0
    resolved: int = 0
    responses: list[float] = field(default_factory=list)
    resolutions: list[float] = field(default_factory=list)
    levels_met: int = 0
    levels_missed: int = 0
    ratings: int = 0
    satisfied: int = 0
    with_bot: int = 0
    deflected: int = 0

    @property
    def first_response_median_seconds(self) -> float | None:
        """Half of the first answers came within this time."""
        return percentile(self.responses, 0.5)

    @property
    def first_response_p90_seconds(self) -> float | None:
        """Nine of ten first answers came within this time."""
        return percentile(self.responses, 0.9)

    @property
    def resolution_median_seconds(self) -> float | None:
        """Half of what was resolved took no longer."""
        return percentile(self.resolutions, 0.5)

    @property
    def sla_met_percent(self) -> float | None:
        """Share of the service levels that were met."""
        return percent(self.levels_met, self.levels_met + self.levels_missed)

    @property
    def csat_percent(self) -> float | None:
        """Share of the ratings that are 4 or 5."""
        return percent(self.satisfied, self.ratings)

    @property
    def deflection_percent(self) -> float | None:
        """Share of the conversations with answers of the bot that ended without an agent."""
        return percent(self.deflected, self.with_bot)
