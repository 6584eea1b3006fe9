"""Reports that are sent by e-mail: when they are due, and who changes them."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.channels.channel import EMAIL
from messaging.channels.recipients import normalise_recipient
from posthaste.lib import zones
from posthaste.lib.problems import Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.desk.reports.report import By
from routing.models import ReportSchedule

FIELDS = ("report", "recipients", "weekday", "hour", "time_zone", "language", "is_active")
MAX_RECIPIENTS = 20
MAX_SCHEDULES = 50
WEEK = 7


def next_time(row: ReportSchedule, *, after: datetime) -> datetime:
    """Return the first moment behind another at which a schedule is due, in its own zone; an hour that a day lacks is the one after it."""
    zone = zones.zone(row.time_zone) or ZoneInfo("UTC")
    day = after.astimezone(zone).date()
    for ahead in range(WEEK + 2):
        date = day + timedelta(days=ahead)
        moment = datetime.combine(date, time(row.hour), zone).astimezone(ZoneInfo("UTC"))
        if moment > after and row.weekday in (None, date.isoweekday()):
            return moment
    raise ValueError(f"no day of the week is {row.weekday}")


@transaction.atomic
def create_schedule(*, schedule: ReportSchedule, by: Actor, now: datetime) -> ReportSchedule:
    """Check and store a new schedule.

    Raises:
        Invalid: a field is wrong, or the tenant has too many.
    """
    if ReportSchedule.objects.filter(tenant_id=schedule.tenant_id).count() >= MAX_SCHEDULES:
        raise Invalid(_("A tenant has at most {n} scheduled reports.").format(n=MAX_SCHEDULES))
    check(schedule)
    schedule.created_at, schedule.next_at = now, next_time(schedule, after=now)
    schedule.save(force_insert=True)
    _record(schedule, Action.REPORT_CREATE, by)
    return schedule


@transaction.atomic
def change_schedule(*, schedule: ReportSchedule, fields: Iterable[str], by: Actor, now: datetime) -> ReportSchedule:
    """Check and store a changed schedule; `fields` are of `FIELDS`. It is due next after now, so nothing is sent for the past.

    Raises:
        Invalid: a field is wrong.
        NotFound: it was deleted meanwhile.
    """
    changed = sorted(set(fields) & set(FIELDS))
    lock(schedule)
    check(schedule)
    schedule.next_at = next_time(schedule, after=now)
    schedule.failures, schedule.last_error, schedule.failing_since = 0, "", None  # whatever it was, it may be mended by this
    schedule.save(update_fields=[*changed, "next_at", "failures", "last_error", "failing_since"])
    _record(schedule, Action.REPORT_CHANGE, by, changed)
    return schedule


@transaction.atomic
def note_failure(*, schedule: ReportSchedule, error: str, is_last: bool, held: "QuerySet[ReportSchedule]", by: Actor) -> None:
    """Keep why a report was not sent, and with the last failure switch it off; nothing, if it was changed meanwhile (`held`)."""
    if held.update(last_error=error, is_active=not is_last) and is_last:
        detail = {"id": str(schedule.pk), "failures": schedule.failures, "error": error}
        audit.record(by=by, action=Action.REPORT_DISABLE, target=schedule.report, tenant_id=schedule.tenant_id, detail=detail)


def switched_off(tenant_ids: Iterable[int]) -> "QuerySet[ReportSchedule]":
    """Return the scheduled reports of tenants that were switched off because they failed, the newest first."""
    return ReportSchedule.objects.filter(tenant_id__in=list(tenant_ids), is_active=False, failures__gt=0).order_by("-failing_since")


@transaction.atomic
def delete_schedule(*, schedule: ReportSchedule, by: Actor) -> None:
    """Delete a schedule.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(schedule)
    _record(schedule, Action.REPORT_DELETE, by)
    schedule.delete()


def check(row: ReportSchedule) -> None:
    """Check a schedule before it is stored, and bring its addresses into their stored form.

    Raises:
        Invalid: naming the field that is wrong.
    """
    if row.report not in By.values:
        raise Invalid.field("report", _("Choose one of these: {names}.").format(names=", ".join(By.values)))
    if not row.recipients:
        raise Invalid.field("recipients", _("Enter at least one address."), "required")
    if len(row.recipients) > MAX_RECIPIENTS:
        raise Invalid.field("recipients", _("At most {n} addresses.").format(n=MAX_RECIPIENTS))
    known: list[str] = []
    for text in row.recipients:
        try:
            known.append(normalise_recipient(EMAIL, text))
        except ValueError as wrong:
            raise Invalid.field("recipients", _("{address}: {problem}").format(address=text, problem=wrong)) from None
    row.recipients = list(dict.fromkeys(known))
    if row.weekday is not None and not 1 <= row.weekday <= WEEK:
        raise Invalid.field("weekday", _("Between 1 (Monday) and 7."))
    if not 0 <= row.hour <= 23:
        raise Invalid.field("hour", _("Between 0 and 23."))
    if zones.zone(row.time_zone) is None:
        raise Invalid.field("time_zone", _("There is no time zone with this name. Use one such as Europe/Paris."))
    if row.language not in dict(settings.LANGUAGES):
        raise Invalid.field("language", _("There is no such language."))


def _record(row: ReportSchedule, action: Action, by: Actor, fields: list[str] | None = None) -> None:
    """Note a change; addresses are counted, not named."""
    detail = {"id": str(row.pk), "recipients": len(row.recipients)} | ({"fields": fields} if fields is not None else {})
    audit.record(by=by, action=action, target=row.report, tenant_id=row.tenant_id, detail=detail)
