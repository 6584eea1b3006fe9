"""Charts as the pages' script takes them: names, values and the tokens of colours; it knows how to draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _

#: Colours in the order in which neighbours differ most, as on the big screen; the rest of something is grey.
TONES = ("queued", "sent", "suppressed", "unknown", "delivered", "sending", "failed")
REST = "cancelled"


class Bars(StrEnum):
    """Whether a chart has bars in place of lines, and how those of one moment stand."""

    NONE = ""
    STACKED = "stacked"
    BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class Series:
    """One line or the bars of one colour; None: nothing is known of that moment."""

    name: str
    tone: str
    data: Sequence[float | None]
    dash: str = "solid"


def chart(name: str, title: str, *, form: str, at: Sequence[str], series: Sequence[Series], bars: Bars = Bars.NONE) -> dict[str, Any]:
    """Return a chart; `form` says what its values are: count, seconds or percent. `at` are times, or the names of what is compared."""
    lines = [{"name": one.name, "tone": one.tone, "data": list(one.data), "dash": one.dash} for one in series]
    return {"name": name, "title": title, "form": form, "bars": bars.value, "at": list(at), "series": lines}


def words() -> dict[str, str]:
    """Return the words that the charts' script needs."""
    return {"s": _("s"), "min": _("min"), "h": _("h"), "time": _("Time"), "table": _("Table"), "chart": _("Chart")}
