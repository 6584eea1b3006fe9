"""A conversation that is resolved here ends its session in WeCom, so that the customer's next text begins a new one there, too."""

from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction

from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from routing.conversations import hooks
from routing.entrances import registry
from routing.entrances.wecom_callback import client_of
from routing.models import OPEN_STATUSES, Conversation, EntranceKind
from routing.wecom.errors import WeComError
from routing.wecom.items import ServiceState

TASK = "routing.end_session"
log = structlog.get_logger(__name__)


@hooks.on_resolved
def end_later(conversation: Conversation, now: datetime) -> None:
    """Have the session of a resolved conversation ended, after the commit. If that is lost, WeCom ends it after 48 hours."""
    entrance = conversation.entrance
    if entrance.kind == EntranceKind.WECOM_KF and entrance.settings.get("ends_sessions", True):
        transaction.on_commit(partial(_tell, conversation.pk), robust=True)


def _tell(conversation_id: UUID) -> None:
    try:
        if broker_is_up():
            send_task(TASK, str(conversation_id), expires=3_600.0)
    except BrokerAway:
        log.warning("a wecom session stays open", conversation=str(conversation_id))


def end_session(conversation_id: UUID) -> bool:
    """End the session of a conversation unless it is open again; False: there was none to end."""
    row = Conversation.objects.select_related("entrance", "identity").filter(pk=conversation_id).exclude(status__in=OPEN_STATUSES).first()
    open_kfid = str(row.details.get("open_kfid", "")) if row else ""
    if row is None or not open_kfid or not row.entrance.is_enabled:
        return False
    client = client_of(registry.row_of(row.entrance))
    try:
        client.move_session(open_kfid=open_kfid, external_user_id=row.identity.value, state=ServiceState.ENDED)
    except WeComError as error:
        log.info("wecom session not ended", conversation=str(conversation_id), code=error.code)
        return False
    return True
