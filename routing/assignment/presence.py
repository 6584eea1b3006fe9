"""Whether an agent is there: what they chose, and whether a desk, a phone or the API has shown a sign of them lately.

An agent who chose to be online and shows no sign for the configured time counts as offline, without a write. A break ends by itself.
"""

from datetime import datetime
from typing import Protocol

from django.db.models import Q

from routing.models import Presence


class Attending(Protocol):
    """The columns of an agent that say whether they are there."""

    @property
    def is_active(self) -> bool: ...

    @property
    def presence(self) -> str: ...

    @property
    def present_until(self) -> datetime | None: ...

    @property
    def break_until(self) -> datetime | None: ...


def state(agent: Attending, *, now: datetime) -> Presence:
    """Return what an agent does now: a break that is over is none, and one who shows no sign is offline."""
    if not agent.is_active or agent.presence == Presence.OFFLINE or agent.present_until is None or agent.present_until <= now:
        return Presence.OFFLINE
    if agent.presence == Presence.BREAK and (agent.break_until is None or agent.break_until > now):
        return Presence.BREAK
    return Presence.ONLINE


def is_there(agent: Attending, *, now: datetime) -> bool:
    """Return whether an agent may be given conversations."""
    return state(agent, now=now) == Presence.ONLINE


def there(now: datetime, prefix: str = "") -> Q:
    """Return the condition for agents who may be given conversations; `prefix` leads to the agent, as in `agent__`."""
    online = Q(**{f"{prefix}presence": Presence.ONLINE})
    rested = Q(**{f"{prefix}presence": Presence.BREAK, f"{prefix}break_until__lte": now})
    return Q(**{f"{prefix}is_active": True, f"{prefix}present_until__gt": now}) & (online | rested)


def away(now: datetime, prefix: str = "") -> Q:
    """Return the condition for agents who are offline; those on a break are not."""
    unseen = Q(**{f"{prefix}present_until": None}) | Q(**{f"{prefix}present_until__lte": now})
    return Q(**{f"{prefix}is_active": False}) | Q(**{f"{prefix}presence": Presence.OFFLINE}) | unseen
