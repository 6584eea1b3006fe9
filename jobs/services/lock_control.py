"""The locks of all processes, as people see them, and taking one away from a holder that does not come back."""

from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from jobs.actions import Action
from posthaste.lib import locks
from posthaste.lib.locks import Held
from posthaste.lib.problems import NotFound


def held_locks() -> list[Held]:
    """Return the locks that are held now, by name.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return locks.held()


def force_release(*, name: str, by: Actor) -> Held:
    """Free a lock for the next holder and return who held it.

    The old holder is notified within a second; its writes are refused as soon as the next holder has written.

    Raises:
        NotFound: it is not held.
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    with audit.recorded_first(by=by, action=Action.LOCK_FORCE_RELEASE, target=name) as entry:
        found = locks.force_release(name)
    if found is None:
        audit.withdraw(entry)
        raise NotFound(_("This lock is not held."))
    detail = {"owner": found.owner, "age_seconds": round(found.age_seconds, 1), "waiters": found.waiters}
    audit.complete(entry, detail=detail)
    return found
