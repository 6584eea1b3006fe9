"""The welcome message to a customer who was added: once, and within 20 seconds of the event.

The worker that writes the row sends the message. If it dies in between, the row stays `sending` and the message is not sent again: no
welcome is better than two, and WeCom takes one for each code only.
"""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction

from routing.models import ContactWay, Welcome
from routing.wecom.client import WELCOME_SECONDS, Client
from routing.wecom.errors import WeComError

WITHIN = timedelta(seconds=WELCOME_SECONDS)
log = structlog.get_logger(__name__)


def send_once(
    client: Client, *, entrance_id: UUID, state: str, code: str, external_user_id: str, added_at: datetime, now: datetime
) -> None:
    """Send the welcome of the contact way by which a customer came, unless it was sent, or is too late."""
    way = ContactWay.objects.filter(entrance_id=entrance_id, state=state).first() if state and code else None
    if way is None or not way.welcome:
        return
    row = Welcome(
        entrance_id=entrance_id,
        contact_way=way,
        code_digest=hashlib.sha256(code.encode()).hexdigest(),
        external_user_id=external_user_id[:64],
        state=Welcome.State.SENDING if now < added_at + WITHIN else Welcome.State.LATE,
        created_at=now,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return  # it was tried before
    if row.state == Welcome.State.LATE:
        return
    try:
        client.welcome(welcome_code=code, text=way.welcome)
    except WeComError as error:
        log.warning("welcome not sent", entrance=str(entrance_id), code=error.code)
        _end(row, Welcome.State.FAILED, error.said)
    else:
        _end(row, Welcome.State.SENT, "")


def _end(row: Welcome, state: Welcome.State, detail: str) -> None:
    Welcome.objects.filter(pk=row.pk, state=Welcome.State.SENDING).update(state=state, detail=detail[:300])


def delete_old(*, before: datetime) -> int:
    """Delete the welcome messages of before a moment, and return how many."""
    return Welcome.objects.filter(created_at__lt=before).delete()[0]
