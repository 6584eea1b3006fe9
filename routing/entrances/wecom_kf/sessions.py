"""A conversation that is resolved here ends its session in WeCom, so that the customer's next text begins a new one there, too."""

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from messaging.queueing.publish import BrokerAway, broker_is_up, send_task
from messaging.selectors import outcomes
from routing.conversations import hooks
from routing.entrances import registry
from routing.entrances.places import places
from routing.entrances.wecom_callback import client_of
from routing.models import OPEN_STATUSES, Conversation, EntranceKind, Line
from routing.wecom.client import REPLIES
from routing.wecom.errors import WeComError
from routing.wecom.items import ServiceState

TASK = "routing.end_session"
AGAIN_SECONDS = 5.0  # twice as long after each look, up to
SELDOM_SECONDS = 300.0
#: After this, what could not be sent is not waited for: WeCom ends the session itself.
LONGEST = timedelta(hours=1)
ON_THE_WAY = {"pending", "queued", "sending"}
log = structlog.get_logger(__name__)


@hooks.on_resolved
def end_later(conversation: Conversation, now: datetime) -> None:
    """Have the session of a resolved conversation ended, after the commit. If that is lost, WeCom ends it after 48 hours."""
    entrance = conversation.entrance
    if entrance.kind == EntranceKind.WECOM_KF and entrance.settings.get("ends_sessions", True):
        transaction.on_commit(partial(_tell, conversation.pk), robust=True)


def _tell(conversation_id: UUID, *, looks: int = 0) -> None:
    in_seconds = min(AGAIN_SECONDS * 2 ** (looks - 1), SELDOM_SECONDS) if looks else None
    try:
        if broker_is_up():
            send_task(TASK, str(conversation_id), looks, expires=3_600.0, countdown=in_seconds)
    except BrokerAway:
        log.warning("a wecom session stays open", conversation=str(conversation_id))


def end_session(conversation_id: UUID, *, looks: int = 0, now: datetime | None = None) -> bool:
    """End the session of a conversation, once its replies are out; False: there was none to end, or not yet. `looks`: how often it was not.

    It stays if the conversation is open again, or the customer has begun another one with the same account.
    """
    row = Conversation.objects.select_related("entrance", "identity").filter(pk=conversation_id).first()
    open_kfid = str(row.details.get("open_kfid", "")) if row else ""
    if row is None or not open_kfid or not row.entrance.is_enabled or _goes_on(row):
        return False
    with places.place_if_free(row.tenant_id) as has_place:
        # After the end of the session WeCom takes nothing more, not even what was written before.
        if not has_place or _is_replying(row):
            if row.resolved_at is None or (now or timezone.now()) - row.resolved_at < LONGEST:
                _tell(row.pk, looks=min(looks + 1, 10))
            return False
        client = client_of(registry.row_of(row.entrance))
        try:
            client.move_session(open_kfid=open_kfid, external_user_id=row.identity.value, state=ServiceState.ENDED)
        except WeComError as error:
            log.info("wecom session not ended", conversation=str(conversation_id), code=error.code)
            return False
        return True


def _goes_on(row: Conversation) -> bool:
    same = Conversation.objects.filter(entrance=row.entrance, identity=row.identity, thread=row.thread)
    return same.filter(status__in=OPEN_STATUSES).exists()


def _is_replying(row: Conversation) -> bool:
    """Return whether messaging has not sent, or given up, all of the last replies, such as the link to rate with."""
    replied = Line.objects.filter(conversation=row, message_id__isnull=False).order_by("-seq").values_list("message_id", flat=True)
    return any(state in ON_THE_WAY for state, _error in outcomes(pk for pk in replied[:REPLIES] if pk).values())
