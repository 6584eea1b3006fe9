"""Business hours: the opening times of a week. `routing.calendars` says when a desk is open by them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting

MIDNIGHT = "00:00"


class OpenHours(Shape):
    """Open on one day of the week."""

    day: int = setting(1, _("Day of the week"), _("1 (Monday) to 7 (Sunday)."), ge=1, le=7)
    start: str = setting("09:00", _("From"), "", pattern=hot.CLOCK)
    end: str = setting("18:00", _("Until"), _("00:00 is the end of the day."), pattern=hot.CLOCK)

    @model_validator(mode="after")
    def _end_comes_after(self) -> Self:
        if self.end not in (MIDNIGHT, max(self.start, self.end)) or self.start == self.end != MIDNIGHT:
            raise hot.Wrong("end", _("Must be after the start. Past midnight: use two entries, the first until 00:00."))
        return self


def check_overlaps(hours: Sequence[OpenHours]) -> None:
    """Refuse entries of the same day that overlap: minutes that count twice would make every clock run too fast.

    Raises:
        hot.Wrong: names the later entry.
    """
    in_order = sorted(enumerate(hours), key=lambda pair: (pair[1].day, pair[1].start))
    for (_first, before), (index, after) in pairwise(in_order):
        if before.day == after.day and (before.end == MIDNIGHT or after.start < before.end):
            raise hot.Wrong(f"hours[{index}].start", _("Overlaps the entry from {start} of the same day."), start=before.start)
