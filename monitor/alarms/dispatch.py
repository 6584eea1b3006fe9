"""Hand notices over: to the platform, as messages of priority 10, and straight to the receiver where that does not work.

A notice, its lines and its message are written in one transaction. So a line is told by one notice however many evaluators there are, and
whatever dies: either all of it is there, or nothing.

Priority 10 is exempt from quiet hours, duplicates and caps, and nothing asks the limits of tenants. A notice that has not left within
`straight_after_seconds` is taken back from the platform (its message is cancelled) and sent straight. The thread that sends it takes it
just before it sends, and holds it for `HOLD`. If its process dies meanwhile, another one sends it again with the same id: an alarm twice
is better than none. What has no free thread stays in the table, free for all (see `lanes`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts import selectors as accounts
from accounts.services.audit import Actor
from messaging import selectors as messaging
from messaging.channels.recipients import normalise_recipient
from messaging.intake.accept import accept_message
from messaging.providers.cache import SANDBOX, provider_cache
from messaging.queueing import operate
from messaging.storage.store import NewRow
from monitor.alarms import straight, texts
from monitor.alarms.addresses import masked
from monitor.alarms.configuration import Alarms
from monitor.alarms.lanes import Lanes
from monitor.alarms.notices import Due
from monitor.alarms.rules import ROBOTS, Receiver, ReceiverKind, Severity
from monitor.alarms.straight import Letter, NotSent
from monitor.alarms.texts import Text
from monitor.models import AlarmLine, AlarmNotice, NoticeState, NoticeWay
from posthaste.lib import logs, sms
from posthaste.lib.ids import new_id

log = structlog.get_logger(__name__)
PRIORITY = 10
CATEGORY = "alarm"
EXPIRES = timedelta(hours=1)  # a notice that the platform delivers later than this misleads
HOLD = timedelta(seconds=60)
RETRIES = [timedelta(seconds=seconds) for seconds in (5, 10, 20, 40, 60, 120, 300, 300, 300, 300)]
#: A message that a worker has taken is given so much longer: its provider may have been called.
SENDING_FACTOR = 4
#: Looked at in one turn, of each receiver and state: those of one receiver must not hide those of another.
MAX_AT_ONCE = 20
HEARTBEAT = "heartbeat"
BY = Actor.system("alarms")
LEFT = ("sent", "delivered")
UNDER_WAY = ("pending", "queued")
#: Straight calls take seconds, and the evaluation must go on meanwhile.
_lanes = Lanes()
#: Being sent by this process: not begun again even if that takes longer than the hold.
_under_way: set[UUID] = set()
#: Sent, but the database did not take it: written by the next turn, and not sent again.
_sent: dict[UUID, datetime] = {}


@dataclass(frozen=True, slots=True)
class Sender:
    """The tenant whose providers send the notices."""

    tenant_id: int


def sender(settings: Alarms) -> Sender | None:
    """Return who sends; None where there is no such tenant, so that everything goes straight."""
    found = accounts.tenants().filter(is_active=True)
    row = found.filter(slug=settings.sent_by).first() if settings.sent_by else found.filter(is_operator=True).order_by("pk").first()
    return Sender(row.pk) if row is not None else None


def hand_over(due: Due, settings: Alarms, of: Sender | None, *, platform_works: bool, now: datetime) -> bool:
    """Write a notice about alarms and hand it to the platform; False if another evaluator was faster, or there is no such receiver.

    Where the platform does not work, or no channel of it serves the receiver, it is sent straight by the next `follow_up`.
    """
    receiver = settings.receivers_by_name.get(due.receiver)
    if receiver is None:
        return False
    text = texts.of_notice(due, settings.rules_by_name)
    try:
        notice = _write_lines(due, receiver, text, of, by_platform=platform_works, now=now)
    except IntegrityError:  # a line was told, or its alarm deleted
        return False
    except DatabaseError:
        raise
    except Exception:  # what the platform refuses of one receiver goes straight, and the other notices go on
        log.exception("alarm notice not taken by the platform", receiver=due.receiver)
        try:
            notice = _write_lines(due, receiver, text, of, by_platform=False, now=now)
        except IntegrityError:
            return False
    trace = logs.traces([notice.message_id] if notice.message_id else [])
    log.info("alarm notice", receiver=due.receiver, group=due.group, lines=len(due.lines), way=notice.way, **trace)
    return True


def _write_lines(due: Due, receiver: Receiver, text: Text, of: Sender | None, *, by_platform: bool, now: datetime) -> AlarmNotice:
    """Write a notice, its message, and the lines that it tells, all or nothing."""
    with transaction.atomic():
        notice = write_notice(receiver, text, of, group=due.group, severity=due.severity, by_platform=by_platform, now=now)
        lines = [
            AlarmLine(alarm_id=line.alarm, notice=notice, receiver=line.receiver, kind=line.kind, number=line.number)
            for line, _episode in due.lines
        ]
        AlarmLine.objects.bulk_create(lines)
    return notice


def write_notice(
    receiver: Receiver,
    text: Text,
    of: Sender | None,
    *,
    group: str = "",
    severity: Severity = Severity.INFO,
    by_platform: bool = True,
    key: str | None = None,
    now: datetime,
) -> AlarmNotice:
    """Write a notice and, where the platform is to send it, its message, within the caller's transaction."""
    message_id = None
    if by_platform and of is not None and receiver.kind not in ROBOTS and is_served(of, receiver.kind.channel):
        row = _message(receiver, text, of, now)
        accept_message(row)
        message_id = row.id
    return AlarmNotice.objects.create(
        receiver=receiver.name,
        kind=receiver.kind,
        recipient=masked(receiver),
        group=group,
        severity=severity,
        subject=text.subject,
        body=text.body,
        data=text.data,
        state=NoticeState.WAITING if message_id else NoticeState.DIRECT,
        way=NoticeWay.PLATFORM if message_id else NoticeWay.STRAIGHT,
        message_id=message_id,
        created_at=now,
        next_at=now,
        key=key,
    )


def is_served(of: Sender, channel: str) -> bool:
    """Return whether the sender's providers reach the receiver's address on a channel, whichever of them is chosen."""
    found = [provider for provider in provider_cache.in_force(of.tenant_id, channel) if provider.kind != SANDBOX]
    return bool(found) and all(straight.reaches(provider, channel) for provider in found)


def _message(receiver: Receiver, text: Text, of: Sender, now: datetime) -> NewRow:
    channel = receiver.kind.channel
    body = text.subject if channel == ReceiverKind.SMS else text.body
    return NewRow(
        id=new_id(),
        tenant_id=of.tenant_id,
        api_key_id=None,
        batch_id=None,
        channel=channel,
        recipient=normalise_recipient(channel, receiver.address),
        priority=PRIORITY,
        status="pending",
        is_sandbox=False,
        template_version_id=None,
        variables={},
        subject=text.subject if channel != ReceiverKind.SMS else "",
        body=body,
        segments=sms.count_segments(body).segments if channel == ReceiverKind.SMS else None,
        reference="alarm",
        metadata=text.data,
        created_at=now,
        due_at=now,
        expires_at=now + EXPIRES,
        category=CATEGORY,
    )


def follow_up(settings: Alarms, *, platform_works: bool, now: datetime) -> int:
    """See what became of the notices that have not left, send straight what has to be, and return how many are open."""
    for pk, at in list(_sent.items()):
        _write_sent(pk, at)
        _sent.pop(pk, None)
    opened = _open_notices(now)
    waiting = [notice.message_id for notice in opened if notice.state == NoticeState.WAITING and notice.message_id]
    outcomes = messaging.outcomes(waiting) if waiting else {}
    for notice in opened:
        receiver = settings.receivers_by_name.get(notice.receiver)
        is_busy = notice.pk in _under_way or (receiver is not None and not _lanes.is_free(_lane(receiver)))
        if notice.state == NoticeState.WAITING:
            status, error = outcomes.get(notice.message_id, ("", "")) if notice.message_id else ("", "")
            if status in LEFT:
                _write_sent(notice.pk, now)
                continue
            is_waited_for = receiver is not None or status not in UNDER_WAY
            if is_busy or (is_waited_for and not _is_overdue(notice, status, settings, platform_works=platform_works, now=now)):
                continue
            if status in UNDER_WAY and not operate.cancel_messages(ids=[notice.message_id], by=BY, now=now):  # type: ignore[list-item]
                continue  # it is being sent after all
            notice.error = f"message {status}: {error}".strip(": ")[:500]
        if receiver is None:
            _update(notice, state=NoticeState.FAILED, next_at=None, error="The receiver was removed.")
        elif not is_busy:
            _begin(notice, receiver, now)
    return len(opened)


def _open_notices(now: datetime) -> list[AlarmNotice]:
    """Return the oldest open notices of each receiver."""
    place = Window(RowNumber(), partition_by=[F("receiver"), F("state")], order_by=F("id").asc())
    return list(AlarmNotice.objects.filter(next_at__lte=now).annotate(place=place).filter(place__lte=MAX_AT_ONCE).order_by("id"))


def _lane(receiver: Receiver) -> tuple[str, str]:
    return receiver.kind.value, receiver.address


def _begin(notice: AlarmNotice, receiver: Receiver, now: datetime) -> None:
    """Send a notice in a thread of its receiver's, if one is free."""
    _under_way.add(notice.pk)
    is_begun = False
    try:
        is_begun = _lanes.start(_lane(receiver), partial(_send, notice, receiver, now, time.monotonic()))
    finally:
        if not is_begun:
            _under_way.discard(notice.pk)


def _is_overdue(notice: AlarmNotice, status: str, settings: Alarms, *, platform_works: bool, now: datetime) -> bool:
    age = now - notice.created_at
    patience = timedelta(seconds=settings.straight_after_seconds)
    if status == "sending":
        return age >= patience * SENDING_FACTOR
    if status in UNDER_WAY:
        return age >= patience or not platform_works
    return True  # it ended without being sent, or is gone


def _claim(notice: AlarmNotice, now: datetime) -> bool:
    """Take a notice to send it; False if another process was faster."""
    seen = AlarmNotice.objects.filter(pk=notice.pk, next_at=notice.next_at)
    held = seen.update(
        state=NoticeState.DIRECT, way=NoticeWay.STRAIGHT, next_at=now + HOLD, attempts=notice.attempts + 1, error=notice.error
    )
    if held:
        notice.attempts, notice.next_at = notice.attempts + 1, now + HOLD
    return bool(held)


def _send(notice: AlarmNotice, receiver: Receiver, now: datetime, at: float) -> None:
    """Take a notice, send it straight and note what came of it; `now` was at `at` of the monotonic clock."""
    try:
        with logs.about([notice.message_id or notice.pk], recipients=[receiver.address]):
            if _claim(notice, now + timedelta(seconds=time.monotonic() - at)):
                connection.close()  # not held while the receiver takes its time
                _send_and_note(notice, receiver)
    finally:
        _under_way.discard(notice.pk)


def _send_and_note(notice: AlarmNotice, receiver: Receiver) -> None:
    letter = Letter(notice.message_id or notice.pk, notice.subject, notice.body, notice.data)
    try:
        straight.send(receiver, letter)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
        said = str(error)[:500] if isinstance(error, NotSent) else f"{type(error).__name__}: {error}"[:500]
        log.warning("alarm notice not sent", receiver=receiver.name, attempt=notice.attempts, error=said)
        if notice.attempts > len(RETRIES):
            values: dict[str, Any] = {"state": NoticeState.FAILED, "next_at": None, "error": said}
        else:
            values = {"next_at": timezone.now() + RETRIES[notice.attempts - 1], "error": said}
        _update(notice, **values)
        return
    sent_at = timezone.now()
    try:
        _write_sent(notice.pk, sent_at)
    except Exception:
        _sent[notice.pk] = sent_at
        log.exception("the outcome of an alarm's notice was not written yet", notice=str(notice.pk))


def _write_sent(pk: UUID, at: datetime) -> None:
    """Write that a notice was sent, also if another process has taken it since: it has left, and is not sent again."""
    unsent = AlarmNotice.objects.filter(pk=pk).exclude(state=NoticeState.SENT)
    unsent.update(state=NoticeState.SENT, sent_at=at, next_at=None, error="")


def _update(notice: AlarmNotice, **values: Any) -> None:
    """Write to a notice unless another process has taken it since."""
    AlarmNotice.objects.filter(pk=notice.pk, next_at=notice.next_at).update(**values)


def send_unwritten(due: Due, settings: Alarms) -> None:
    """Send a notice straight while it can't be written, as the database is away; in a thread of its own."""
    receiver = settings.receivers_by_name.get(due.receiver)
    if receiver is None:
        return
    text = texts.of_notice(due, settings.rules_by_name)
    _lanes.put(_lane(receiver), partial(_send_unwritten, receiver, Letter(new_id(), text.subject, text.body, text.data)))


def _send_unwritten(receiver: Receiver, letter: Letter) -> None:
    with logs.about([letter.id], recipients=[receiver.address]):
        try:
            straight.send(receiver, letter)
        except Exception as error:  # noqa: BLE001 - there is nowhere to note it but the log
            log.error("alarm notice not sent", receiver=receiver.name, error=str(error)[:300])
        else:
            log.info("alarm notice sent directly", receiver=receiver.name)


def in_background(function: Callable[[], object]) -> None:
    """Call the dead man's heartbeat beside the evaluation and all notices; not at all while earlier calls hang."""
    _lanes.start(HEARTBEAT, function)


def write_sent(due: Due, settings: Alarms, *, at: datetime) -> None:
    """Write down a notice that was sent while the database was away."""
    receiver = settings.receivers_by_name.get(due.receiver)
    if receiver is None:
        return
    text = texts.of_notice(due, settings.rules_by_name)
    try:
        with transaction.atomic():
            notice = _write_lines(due, receiver, text, None, by_platform=False, now=at)
            AlarmNotice.objects.filter(pk=notice.pk).update(state=NoticeState.SENT, sent_at=at, next_at=None)
    except IntegrityError:
        log.info("alarm notice was written by another process", receiver=due.receiver, group=due.group)
