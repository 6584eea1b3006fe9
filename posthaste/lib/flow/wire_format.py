"""Questions to the script of `enter.lua`, as they travel."""

from collections.abc import Sequence
from typing import Any

import msgspec

#: Cost, urgent (0 or 1), lease, checks.
Query = tuple[int, int, str, tuple[Any, ...]]


def encode(questions: Sequence[Query], leaves: Sequence[str] = ()) -> bytes:
    """Write questions for the script. What many of them share, as those of one tenant do, is written once."""
    plans: list[tuple[Any, ...]] = []
    places: dict[int, int] = {}
    asked = []
    for cost, urgent, lease, checks in questions:
        place = places.get(id(checks))
        if place is None:
            plans.append(checks)
            place = places[id(checks)] = len(plans)
        asked.append((cost, urgent, lease, place))
    return msgspec.msgpack.encode((asked, leaves, plans))
