"""The threads that keep mailboxes open, in each worker for auxiliary tasks: new mail is taken in as soon as the server tells of it.

One thread looks for mailboxes that no process watches, and gives each a thread. A lease in the mailbox's row leaves it to one process; if
that one dies, another takes over when the lease has run out. Servers without IDLE are asked every 25 s.
"""

from datetime import timedelta
from functools import partial
from itertools import count
from uuid import UUID

import structlog
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from posthaste.lib.crypto import Undecryptable
from posthaste.lib.dispatching import Dispatcher
from posthaste.lib.elastic import stopping
from posthaste.lib.ids import new_id
from routing.entrances.email import taking
from routing.entrances.email.mailbox import ERRORS, Connection, described
from routing.entrances.email.settings import EmailSettings
from routing.models import Entrance, EntranceKind

log = structlog.get_logger(__name__)
MAX_MAILBOXES = 32
LOOK_SECONDS, UNUSED_SECONDS = 3.0, 10.0
WAIT_SECONDS = 25.0
AFTER_ERROR = timedelta(seconds=30)


class Watcher(Dispatcher):
    """The thread that looks, and the threads of the mailboxes."""

    name = "mailboxes"
    away_seconds, failed_seconds = LOOK_SECONDS, UNUSED_SECONDS

    def __init__(self) -> None:
        super().__init__()
        self._number = count(1)
        #: When each mailbox last had a thread here, as a number that grows.
        self._begun: dict[UUID, int] = {}

    def _order(self, pk: UUID) -> int:
        """Sort what had a thread longest ago first, so that mailboxes that can't be read hold up no others."""
        return self._begun.get(pk, 0)

    def look(self) -> float:
        """Give each free mailbox a thread, and return the seconds until the next look."""
        wanted = [pk for pk, settings in _mailboxes() if settings.get("imap_host")]
        busy = self.busy()
        free = [pk for pk in wanted if pk not in busy]
        for pk in sorted(free, key=self._order):
            if len(busy) >= MAX_MAILBOXES:
                break
            lease = new_id()
            if taking.take_lease(pk, lease=lease):
                busy.add(pk)
                self._begun[pk] = next(self._number)
                self.begin(pk, partial(_serve, pk, lease))
        self._begun = {pk: number for pk, number in self._begun.items() if pk in wanted}
        return LOOK_SECONDS if wanted else UNUSED_SECONDS


watcher = Watcher()


def _serve(entrance_id: UUID, lease: UUID) -> None:
    try:
        watch(entrance_id, lease=lease)
    except (OperationalError, InterfaceError) as error:  # the database is away: the lease runs out
        log.warning("watching a mailbox ended", entrance=str(entrance_id), error=type(error).__name__)
    except Exception as error:  # such as a message that can't be read: staff sees it at the entrance
        log.exception("watching a mailbox failed", entrance=str(entrance_id))
        taking.release(entrance_id, lease=lease, error=described(error), after=AFTER_ERROR)


def _mailboxes() -> list[tuple[UUID, dict[str, object]]]:
    rows = Entrance.objects.filter(kind=EntranceKind.EMAIL, is_enabled=True, tenant__is_active=True)
    return list(rows.order_by("pk").values_list("pk", "settings"))


def watch(entrance_id: UUID, *, lease: UUID) -> None:
    """Take in new mail until the process ends, the entrance is changed, or the server breaks off."""
    try:
        entrance = Entrance.objects.get(pk=entrance_id)
        settings = EmailSettings.model_validate(entrance.settings)
        with Connection(settings, str(entrance.secrets.get("imap_password", ""))) as opened:
            log.info("watching a mailbox", entrance=str(entrance_id))
            while not stopping.is_set() and _is_unchanged(entrance):
                taking.take_new(entrance, opened, lease=lease)
                taking.renew(entrance_id, lease=lease, now=timezone.now())
                close_old_connections()
                opened.wait(seconds=WAIT_SECONDS, is_over=stopping.is_set)
    except (taking.LeaseLost, Entrance.DoesNotExist):
        return
    except (*ERRORS, Undecryptable, ValueError) as error:
        log.warning("a mailbox can't be read", entrance=str(entrance_id), error=type(error).__name__)
        taking.release(entrance_id, lease=lease, error=described(error), after=AFTER_ERROR)
        return
    taking.release(entrance_id, lease=lease)


def _is_unchanged(entrance: Entrance) -> bool:
    rows = Entrance.objects.filter(pk=entrance.pk, is_enabled=True, tenant__is_active=True)
    now = rows.first()
    return now is not None and (now.settings, now.secrets) == (entrance.settings, entrance.secrets)
