"""Message ids: UUIDv7 (RFC 9562), whose 32 hex digits are at the same time a valid W3C trace-id.

The first 48 bits are the Unix time in milliseconds, so ids sort by age and an index grows at its end.
"""

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils

from posthaste.lib.dates import LATEST

LATEST_MS = int(LATEST.timestamp() * 1000)


def new_id() -> UUID:
    """Make a new time-ordered id."""
    return UUID(int=uuid_utils.uuid7().int)


def unix_ms(identifier: UUID) -> int:
    """Return the milliseconds since 1970 at which the id was made."""
    return identifier.int >> 80


def made_at(identifier: UUID) -> datetime:
    """Return the time at which the id was made."""
    # 48 bits reach the year 10889; an id that is none of ours must not be what a page fails on.
    return min(datetime.fromtimestamp(min(unix_ms(identifier), LATEST_MS) / 1000, tz=UTC), LATEST)


def trace_id(identifier: UUID) -> str:
    """Return the W3C trace-id (32 lower-case hex digits) of a message id."""
    return identifier.hex


def first_id_at(moment: datetime) -> UUID:
    """Return the smallest id that can have been made at `moment` or later."""
    return UUID(int=(max(0, int(moment.timestamp() * 1000)) << 80) | (7 << 76) | (2 << 62))
