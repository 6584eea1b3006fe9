"""Wire format: queries to the script of `enter.lua`, as they travel."""

from collections.abc import Sequence
from typing import Any

import msgspec

#: Cost, urgent (0 or 1), lease, checks.
Query = tuple[int, int, str, tuple[Any, ...]]


def encode(queries: Sequence[Query], leaves: Sequence[str] = ()) -> bytes:
    """Return queries as MessagePack for the script. What many of them share, as those of one tenant do, is written once."""
    plans: list[tuple[Any, ...]] = []
    indexes: dict[int, int] = {}
    asked = []
    for cost, urgent, lease, checks in queries:
        index = indexes.get(id(checks))
        if index is None:
            plans.append(checks)
            index = indexes[id(checks)] = len(plans)
        asked.append((cost, urgent, lease, index))
    return msgspec.msgpack.encode((asked, leaves, plans))
