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
    """Free a lock for the next one and give who held it. The holder is told within a second, and what he still
    writes is refused as soon as somebody else has written.

    Raises:
        NotFound: nobody holds it.
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    found = locks.force_release(name)
    if found is None:
        raise NotFound(_("This lock is not held."))
    detail = {"owner": found.owner, "age_seconds": round(found.age_seconds, 1), "waiters": found.waiters}
    audit.record(by=by, action=Action.LOCK_FORCE_RELEASE, target=name, tenant_id=by.tenant_id, detail=detail)
    return found
