"""What people do with alarms: acknowledge, silence, plan maintenance, and try their receivers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from monitor.actions import Action
from monitor.alarms import dispatch, texts
from monitor.alarms.configuration import alarms
from monitor.alarms.states import ACTIVE, AlarmState, Phase
from monitor.models import Alarm, AlarmNotice, Silence
from posthaste.lib.dates import OUT_OF_RANGE, is_in_range
from posthaste.lib.problems import Conflict, Invalid

MAX_COMMENT = 500
MAX_DURATION = timedelta(days=366)
MAX_ANNOUNCE_MINUTES = 10_080


def acknowledge(*, alarm: Alarm, comment: str = "", by: Actor, now: datetime) -> Alarm:
    """Take charge of an active alarm: no other receiver is told, and it is not repeated. Its end is told.

    Raises:
        Conflict: it is not active, or acknowledged already.
        Invalid: the comment can't be stored.
    """
    if (problem := _problem_of(comment)) is not None:
        raise Invalid.field("comment", problem)
    with transaction.atomic():
        changed = Alarm.objects.filter(pk=alarm.pk, phase__in=ACTIVE, acknowledged_at=None).update(
            acknowledged_at=now,
            acknowledged_by=str(by)[:150],
            state=AlarmState.SILENCED if alarm.is_silenced else AlarmState.ACKNOWLEDGED,
            version=F("version") + 1,
        )
        if not changed:
            alarm.refresh_from_db()
            raise Conflict(_("It is {state}, so it can't be acknowledged.").format(state=alarm.get_state_display()))
        audit.record(by=by, action=Action.ALARM_ACKNOWLEDGE, target=alarm.pk, detail=_about(alarm) | {"comment": comment})
    alarm.refresh_from_db()
    return alarm


def reopen(*, alarm: Alarm, by: Actor) -> Alarm:
    """Take back an acknowledgement: the alarm is told and repeated again.

    Raises:
        Conflict: it is not acknowledged, or over.
    """
    with transaction.atomic():
        state = AlarmState.NO_DATA if alarm.phase == Phase.NO_DATA else AlarmState.FIRING
        changed = Alarm.objects.filter(pk=alarm.pk, phase__in=ACTIVE, acknowledged_at__isnull=False).update(
            acknowledged_at=None,
            acknowledged_by="",
            state=AlarmState.SILENCED if alarm.is_silenced else state,
            version=F("version") + 1,
        )
        if not changed:
            raise Conflict(_("It is not acknowledged, or it is over."))
        audit.record(by=by, action=Action.ALARM_REOPEN, target=alarm.pk, detail=_about(alarm))
    alarm.refresh_from_db()
    return alarm


def _problem_of(comment: str) -> str | None:
    """Say why a comment can't be stored."""
    if "\0" in comment:  # PostgreSQL takes it neither in text nor in JSON
        return _("The character NUL can't be stored; remove it.")
    if len(comment) > MAX_COMMENT:
        return _("Must have at most {le} characters.").format(le=MAX_COMMENT)
    return None


def _about(alarm: Alarm) -> dict[str, str]:
    return {"rule": alarm.rule, "series": alarm.series}


def create_silence(
    *,
    rules: Sequence[str],
    series: str = "",
    starts_at: datetime,
    ends_at: datetime,
    comment: str,
    is_maintenance: bool = False,
    announce_minutes: int = 0,
    by: Actor,
    now: datetime,
) -> Silence:
    """Keep some alarms, or all, from being told for a time. They are evaluated and shown all the same.

    Raises:
        Invalid: naming each wrong field.
    """
    errors = []

    def wrong(field: str, message: str) -> None:
        errors.append({"field": field, "code": "invalid", "message": message})

    known = {rule.name for rule in alarms.value.rules}
    for name in rules:
        if name not in known:
            wrong("rules", _("There is no alarm {name}.").format(name=name[:60]))
    for field, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if not is_in_range(value):
            wrong(field, str(OUT_OF_RANGE))
    if not errors and ends_at <= max(starts_at, now):
        wrong("ends_at", _("Must be in the future, and after the start."))
    if not errors and ends_at - starts_at > MAX_DURATION:
        wrong("ends_at", _("Must be within a year of the start."))
    if (problem := _problem_of(comment)) is not None:
        wrong("comment", problem)
    if "\0" in series:
        wrong("series", _("The character NUL can't be stored; remove it."))
    if not comment.strip():
        wrong("comment", _("Say why, for those who look for the alarm meanwhile."))
    if not 0 <= announce_minutes <= MAX_ANNOUNCE_MINUTES:
        wrong("announce_minutes", _("Must be between 0 and {le}.").format(le=MAX_ANNOUNCE_MINUTES))
    if series and len(rules) != 1:
        wrong("series", _("A series belongs to one alarm: name just that one."))
    if errors:
        raise Invalid(errors=errors)
    with transaction.atomic():
        silence = Silence.objects.create(
            rules=list(dict.fromkeys(rules)),
            series=series[:200],
            starts_at=starts_at,
            ends_at=ends_at,
            comment=" ".join(comment.split()),
            is_maintenance=is_maintenance,
            announce_minutes=announce_minutes if is_maintenance else 0,
            created_by=str(by)[:150],
        )
        detail = {"rules": silence.rules, "series": series, "from": starts_at.isoformat(), "until": ends_at.isoformat()}
        audit.record(by=by, action=Action.SILENCE_CREATE, target=silence.pk, detail=detail | {"maintenance": is_maintenance})
    return silence


def end_silence(*, silence: Silence, by: Actor, now: datetime) -> Silence:
    """End a silence before its time; what is still active is told then.

    Raises:
        Conflict: it is over.
    """
    with transaction.atomic():
        changed = Silence.objects.filter(pk=silence.pk, ended_at=None, ends_at__gt=now).update(ended_at=now, ended_by=str(by)[:150])
        if not changed:
            raise Conflict(_("It is over already."))
        audit.record(by=by, action=Action.SILENCE_END, target=silence.pk, detail={"rules": silence.rules})
    silence.refresh_from_db()
    return silence


def send_test(*, receiver: str, by: Actor, now: datetime) -> AlarmNotice:
    """Send a test notice to a receiver, as an alarm would be sent.

    Raises:
        Invalid: there is no such receiver.
    """
    settings = alarms.value
    found = settings.receivers_by_name.get(receiver)
    if found is None:
        raise Invalid.field("receiver", _("There is no receiver {name}.").format(name=receiver[:60]))
    with transaction.atomic():
        notice = dispatch.write_notice(found, texts.of_test(), dispatch.sender(settings), now=now)
        audit.record(by=by, action=Action.ALARM_TEST, target=notice.pk, detail={"receiver": receiver})
    return notice
