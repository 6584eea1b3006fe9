"""Fetch what customers wrote: page after page, each written together with the cursor behind it.

What if the worker dies: a page and its cursor are one transaction, so the next worker goes on behind the last page that was written, and
fetches nothing twice; what it had fetched and not written, WeCom gives again. The lease runs out, and the sweep goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from messaging.storage.store import database_time
from posthaste.lib import queues
from posthaste.lib.ids import new_id
from routing.contract import Incoming
from routing.conversations import arrivals
from routing.entrances import registry
from routing.entrances.places import places
from routing.entrances.wecom_callback import client_of
from routing.entrances.wecom_kf import reading, wanted
from routing.models import ContactWay, Entrance, EntranceKind, Follow, Identity, IdentityKind, KfCursor
from routing.wecom import items
from routing.wecom.answers import SyncPage
from routing.wecom.client import BATCH, Client
from routing.wecom.errors import Cure, WeComError

log = structlog.get_logger(__name__)
LEASE = timedelta(seconds=60)
PAGE = 200  # small enough to be written within moments
MAX_PAGES = 500  # a turn: another task goes on
OVERDUE = timedelta(seconds=3)
#: Accounts are asked this often without a callback, which may be lost.
UNASKED = timedelta(minutes=10)
BACK_OFF = {Cure.RETRY: timedelta(seconds=5), Cure.SLOW_DOWN: timedelta(seconds=60)}
LONG_BACK_OFF = timedelta(minutes=2)


@dataclass(slots=True)
class Turn:
    """One worker's turn at one account."""

    entrance: Entrance
    open_kfid: str
    client: Client
    lease: UUID

    @property
    def own(self) -> "QuerySet[KfCursor]":
        """The account's cursor, as long as the lease is ours."""
        return KfCursor.objects.filter(entrance=self.entrance, open_kfid=self.open_kfid, lease_token=self.lease)


def pull(entrance_id: UUID, open_kfid: str) -> int:
    """Fetch what is wanted for an account, and return how many items were written; 0 also if another worker is at it."""
    wanted.kick_taken(str(entrance_id), open_kfid)
    entrance = Entrance.objects.filter(pk=entrance_id, kind=EntranceKind.WECOM_KF, is_enabled=True).first()
    if entrance is None:
        return 0
    with places.place_if_free(entrance.tenant_id) as has_place:
        return _taken(entrance, open_kfid) if has_place else 0  # it is still wanted: the sweep asks again


def _taken(entrance: Entrance, open_kfid: str) -> int:
    """Fetch what is wanted under a lease."""
    now, lease = database_time(), new_id()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = KfCursor.objects.filter(free, entrance=entrance, open_kfid=open_kfid, wanted_at__isnull=False)
    if not rows.update(lease_token=lease, lease_until=now + LEASE):
        return 0
    turn = Turn(entrance, open_kfid, client_of(registry.row_of(entrance)), lease)
    try:
        return _pull(turn)
    except WeComError as error:
        wait = BACK_OFF.get(error.cure, LONG_BACK_OFF)
        log.warning("wecom messages not fetched", entrance=str(entrance.pk), code=error.code, detail=error.detail)
        turn.own.update(lease_until=database_time() + wait)  # it is still wanted: the sweep tries again
        return 0
    except Exception:  # whatever it is, it may be so again at once, and others wait
        turn.own.update(lease_until=database_time() + LONG_BACK_OFF)
        raise
    except BaseException:
        turn.own.update(lease_token=None, lease_until=None)
        raise


def _pull(turn: Turn) -> int:
    written = 0
    for _page in range(MAX_PAGES):
        row = turn.own.first()
        if row is None:
            return written
        try:
            page = turn.client.sync_messages(open_kfid=turn.open_kfid, cursor=row.cursor, token=row.token, limit=PAGE)
        except WeComError as error:
            if error.cure != Cure.NEW_CURSOR or not row.token:
                raise
            turn.own.filter(wanted_at=row.wanted_at).update(token="")
            continue
        found = _write(turn, row, page)
        if found is None:
            return written
        written += found
        done = turn.own.filter(wanted_at=row.wanted_at)  # unless a callback came meanwhile
        if not page.has_more and done.update(wanted_at=None, token="", lease_token=None, lease_until=None):
            return written
    turn.own.update(lease_token=None, lease_until=None)
    wanted.kick(str(turn.entrance.pk), turn.open_kfid)
    return written


def _write(turn: Turn, row: KfCursor, page: SyncPage) -> int | None:
    """Write a page and the cursor behind it; None: another worker has the account by now."""
    incoming = _incoming(turn, page.items)
    now = timezone.now()
    with transaction.atomic():
        if not turn.own.filter(cursor=row.cursor).update(cursor=page.cursor, pulled_at=now, lease_until=database_time() + LEASE):
            return None
        stored = arrivals.store(turn.entrance.pk, incoming, tenant_id=turn.entrance.tenant_id, now=now) if incoming else []
    return sum(one.is_new for one in stored)


def _incoming(turn: Turn, found: Sequence[items.Item]) -> list[Incoming]:
    users = sorted({item.external_user_id for item in found if item.external_user_id})
    names = _names(turn, users) if users else {}
    groups = _groups(turn.entrance.tenant_id, users) if users else {}
    made = (reading.incoming_of(item, names=names, groups=groups) for item in found)
    return [one for one in made if one is not None]


def _names(turn: Turn, users: Sequence[str]) -> dict[str, str]:
    """Return the names of customers; WeCom is asked only for those whose name is not known yet, and may fail at that."""
    rows = Identity.objects.filter(tenant_id=turn.entrance.tenant_id, kind=IdentityKind.WECOM, value__in=users)
    names = {value: name for value, name in rows.values_list("value", "name") if name}
    missing = [user for user in users if user not in names]
    try:
        for start in range(0, len(missing), BATCH):
            asked = turn.client.customers(external_user_ids=missing[start : start + BATCH])
            names |= {customer.external_user_id: customer.name for customer in asked}
    except WeComError as error:
        log.warning("wecom customers' names not fetched", entrance=str(turn.entrance.pk), code=error.code)
    return names


def _groups(tenant_id: int, users: Sequence[str]) -> dict[str, str]:
    """Return the skill group of the contact way by which a customer came, by customer."""
    follows = Follow.objects.filter(tenant_id=tenant_id, identity__value__in=users, ended_at=None).exclude(state="").order_by("since")
    states = dict(follows.values_list("identity__value", "state"))
    ways = ContactWay.objects.filter(tenant_id=tenant_id, state__in=set(states.values()), group__isnull=False)
    by_state = dict(ways.values_list("state", "group__name")) if states else {}
    return {user: by_state[state] for user, state in states.items() if state in by_state}


def _overdue(now: datetime) -> "QuerySet[KfCursor]":
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    return KfCursor.objects.filter(free, wanted_at__lt=now - OVERDUE, entrance__is_enabled=True)


def pulls_are_overdue() -> bool:
    """Return whether something is wanted that no worker fetches."""
    return _overdue(timezone.now()).exists()


@job(
    "routing.sweep_pulls",
    title=_("Fetch WeCom messages that were left behind"),
    purpose=_("Fetches what customers wrote in WeCom when a worker was killed, the broker lost its task, or WeCom was away."),
    every=timedelta(seconds=5),
    timeout=timedelta(minutes=1),
    blocking=Blocking.DISCARD,
    queue=queues.DELAYED,
    is_needed=pulls_are_overdue,
)
def sweep_pulls() -> None:
    """Have fetched what is wanted and not fetched: a task for each account, so that a slow one holds up no other."""
    rows = _overdue(database_time()).order_by("wanted_at")
    for entrance_id, open_kfid in list(rows.values_list("entrance_id", "open_kfid")[:200]):
        wanted.kick(str(entrance_id), open_kfid)


@job(
    "routing.ask_wecom",
    title=_("Ask WeCom for messages without a callback"),
    purpose=_("A callback of WeCom can be lost. Each customer service account is asked every ten minutes."),
    every=timedelta(minutes=10),
    timeout=timedelta(minutes=2),
    blocking=Blocking.DISCARD,
    queue=queues.DELAYED,
    stoppable=False,
)
def ask_wecom(*, now: datetime) -> None:
    """Want what may have come without a callback; the sweep fetches it."""
    KfCursor.objects.filter(wanted_at=None, pulled_at__lt=now - UNASKED, entrance__is_enabled=True).update(wanted_at=now)
