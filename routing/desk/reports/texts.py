"""Figures as people read them: in pages, in e-mails and on charts alike."""

from typing import Any

from django.utils import formats
from django.utils.translation import gettext as _

NOTHING = "–"


def duration(seconds: float | None) -> str:
    """Return a time in the one or two units that matter: 40 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return _joined((whole, _("s")))
    minutes = round(whole / 60)
    if minutes < 60:
        return _joined((minutes, _("min")))
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _joined((hours, _("h")), (minutes, _("min")))
    days, hours = divmod(hours, 24)
    return _joined((days, _("d")), (hours, _("h")))


def _joined(first: tuple[int, str], *others: tuple[int, str]) -> str:
    """Return an amount with its unit, and those behind it that are not nothing."""
    return " ".join(f"{number} {unit}" for number, unit in (first, *(each for each in others if each[0])))


def shown(value: Any, form: str) -> str:
    """Return a figure of a column: a count, seconds, or per cent; what is not known is a dash."""
    if value is None:
        return NOTHING
    if form == "seconds":
        return duration(value)
    number = formats.number_format(value, use_l10n=True, force_grouping=True)
    return f"{number} %" if form == "percent" else number
