"""How many live connections of this process one API key, or one session of staff, holds; each has at most `LIVE_CONNECTIONS`."""

from collections import defaultdict
from typing import Protocol

from accounts.services.open_connections import Grant, KeyGrant
from posthaste import env


class Connection(Protocol):
    """What is counted."""

    grant: Grant


Owner = tuple[str, int | str]


def _owner(grant: Grant) -> Owner:
    """Return what a key's connections from all addresses, or a session's to all tenants, have in common."""
    return ("key", grant.key_id) if isinstance(grant, KeyGrant) else ("session", grant.session_key)


def name_of_owner(grant: Grant) -> str:
    """Return whose connection it is, for the log: never the session's key, which lets in who knows it."""
    return f"key {grant.prefix}" if isinstance(grant, KeyGrant) else f"user {grant.user_id}"


class Quota:
    """The connections that count, by their owner. Used in the event loop only, so that looking and taking are one step."""

    def __init__(self) -> None:
        self._held: defaultdict[Owner, set[Connection]] = defaultdict(set)

    def take(self, connection: Connection) -> bool:
        """Count a connection, and return whether its owner may have it."""
        held = self._held[_owner(connection.grant)]
        if len(held) >= env.load().live_connections:
            return False
        held.add(connection)
        return True

    def give_back(self, connection: Connection) -> None:
        """Count a connection no more, if it was counted."""
        grant = getattr(connection, "grant", None)  # it may have ended before it had one
        if grant is None:
            return
        owner = _owner(grant)
        self._held[owner].discard(connection)
        if not self._held[owner]:
            del self._held[owner]


quota = Quota()
