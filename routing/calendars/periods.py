"""Opening times as people write them: `09:00-12:00, 13:00-18:00`."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.utils.translation import gettext as _
from pydantic import ValidationError

from configcenter import hot
from routing.configuration.hours import OpenHours, check_overlaps

PERIOD = re.compile(r"([0-9]{1,2}:[0-9]{2})\s*[-–—~]\s*([0-9]{1,2}:[0-9]{2})")
MAX_A_DAY = 10


def read(text: str) -> list[list[str]]:
    """Return the periods of a day that a text names.

    Raises:
        ValueError: with what is wrong, in the reader's language.
    """
    found: list[list[str]] = []
    for part in filter(None, (each.strip() for each in re.split(r"[,;，；\n]", text))):
        match = PERIOD.fullmatch(part)
        if match is None:
            raise ValueError(_("Write periods such as 09:00-12:00, 13:00-18:00."))
        found.append([each.zfill(5).replace("24:00", "00:00") for each in match.groups()])
    check([1, *period] for period in found)
    return found


def written(periods: Iterable[Sequence[str]]) -> str:
    """Return the periods of a day as text."""
    return ", ".join(f"{start}-{'24:00' if end == '00:00' else end}" for start, end in periods)


def check(entries: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return entries of day, start and end as a calendar keeps them, in order.

    Raises:
        ValueError: with what is wrong, in the reader's language.
    """
    made = []
    try:
        for day, start, end in entries:
            made.append(OpenHours(day=day, start=start, end=end))
        check_overlaps(made)
    except ValidationError as error:
        problem = error.errors()[0].get("ctx", {}).get("error")
        raise ValueError(said(problem) if isinstance(problem, hot.Wrong) else _("Times are such as 09:00, days 1 to 7.")) from None
    except hot.Wrong as wrong:
        raise ValueError(said(wrong)) from None
    if any(sum(each.day == day for each in made) > MAX_A_DAY for day in range(1, 8)):
        raise ValueError(_("At most {n} periods a day.").format(n=MAX_A_DAY))
    return [each.model_dump() for each in sorted(made, key=lambda each: (each.day, each.start))]


def said(wrong: hot.Wrong) -> str:
    """Return an error of the configuration in the reader's language."""
    return _(wrong.words).format(**wrong.values)
