"""Time zones: names that exist, and where a phone number is at home."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import timezone as numbering

UNKNOWN = "Etc/Unknown"  # what the numbering data says of a number that has no place
REFERENCE = datetime(2024, 1, 15, tzinfo=UTC)  # only to put zones in order of their offset


@lru_cache(maxsize=1000)
def zone(name: str) -> ZoneInfo | None:
    """Return a time zone by its IANA name, or None if there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of the zone database
        return None


@lru_cache(maxsize=50_000)
def of_phone(number: str, default: str) -> str:
    """Return the zone of a phone number in E.164, or `default` where the number does not tell.

    A number that may be at home in several zones (a mobile of Australia, say) is put in `default` if that is one of them, else
    in the one in the middle.
    """
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return default
    found = numbering.time_zones_for_geographical_number(parsed)
    if len(found) != 1:
        found = numbering.time_zones_for_number(parsed)
    names = [name for name in found if name != UNKNOWN and zone(name)]
    if not names or default in names:
        return default
    return sorted(names, key=_offset)[len(names) // 2]


def _offset(name: str) -> float:
    offset = REFERENCE.astimezone(ZoneInfo(name)).utcoffset()
    return offset.total_seconds() if offset else 0.0
