"""Send the reports that are due: each once, whatever number of processes look.

A report is claimed before it is written: `next_at` moves on from the value that was seen, so a second scheduler changes no row and sends
nothing. Its messages and the time at which it is due next are one transaction, with the claim as its condition. Reports that were due while
nothing ran are sent once.

What if it fails, or the process dies: the claim counted a failure, and is due again later each time, behind what others wait for. After
`MAX_FAILURES` in a row the schedule is switched off, which the page, the API, the overview and the audit trail tell.
"""

import hashlib
from datetime import datetime, timedelta
from urllib.parse import urlencode

import structlog
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from accounts.selectors import get_tenant
from accounts.services.audit import Actor
from jobs.registry import Blocking, job
from messaging.channels.channel import EMAIL
from messaging.channels.email.files import MAX_CHARACTERS
from messaging.intake.accept import accept_message
from messaging.intake.repeats import Repeatable
from messaging.storage.store import NewRow
from posthaste import env
from posthaste.lib import queues, zones
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Problem
from posthaste.ui.export import as_text
from routing.desk.reports import schedules
from routing.desk.reports.ranges import USUAL_DAYS, Days
from routing.desk.reports.report import COLUMNS, By, Report, Row, report
from routing.desk.reports.schedules import next_time
from routing.desk.reports.table import cells, file_name, heads
from routing.desk.reports.texts import shown
from routing.models import ReportSchedule

log = structlog.get_logger(__name__)
PRIORITY = 3
PENDING = "pending"
AT_ONCE = 100
#: After each failure in a row; from the last one on it stays the same.
BACK_OFF = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 180, 360))
#: A day and a half of failures.
MAX_FAILURES = 9
SENDER = Actor.system("send_reports")
DIED = gettext_noop("The worker ended while the report was written.")
#: A line an agent or intent: the e-mail has the largest, the file has all.
MAX_ROWS = 50


def is_any_due() -> bool:
    """Return whether a report is due: a probe of a small index."""
    return _due(timezone.now()).exists()


def _due(now: datetime) -> "QuerySet[ReportSchedule]":
    return ReportSchedule.objects.filter(is_active=True, next_at__lte=now, tenant__is_active=True)


@job(
    "routing.send_reports",
    title=gettext_lazy("Send scheduled reports"),
    purpose=gettext_lazy("Sends the reports of the service desk that are due, by e-mail."),
    every=timedelta(seconds=30),
    timeout=timedelta(minutes=5),
    blocking=Blocking.DISCARD,
    queue=queues.AI,
    is_needed=is_any_due,
)
def send_due_reports() -> None:
    """Send what is due."""
    send_due(now=timezone.now())


def send_due(*, now: datetime) -> int:
    """Send the reports that are due, and return their number. One that fails holds up no other: it is due again later."""
    sent = 0
    for row in list(_due(now).order_by("next_at")[:AT_ONCE]):
        if row.failures >= MAX_FAILURES:  # each time the worker has died
            _note_failure(row, row.last_error)
        if row.failures >= MAX_FAILURES or not _claim(row, now=now):
            continue  # or another process has it
        try:
            sent += _send(row, now=now)
        except (OperationalError, InterfaceError):
            raise  # the database is away: what was claimed is due again later
        except Exception as error:
            log.exception("report not sent", schedule=str(row.pk), tenant=row.tenant_id, failures=row.failures)
            _note_failure(row, _reason(error))
    return sent


def _held(row: ReportSchedule) -> "QuerySet[ReportSchedule]":
    """Return the schedule as it was seen; none if it was claimed or changed since."""
    return ReportSchedule.objects.filter(pk=row.pk, next_at=row.next_at, is_active=True)


def _claim(row: ReportSchedule, *, now: datetime) -> bool:
    """Take a report, and count the failure that it is if the process dies; False: another process has it."""
    failures = row.failures + 1
    columns = {
        "next_at": now + BACK_OFF[min(failures, len(BACK_OFF)) - 1],
        "failures": failures,
        "last_error": row.last_error or DIED,
        "failing_since": row.failing_since or now,
    }
    if not _held(row).update(**columns):
        return False
    for name, value in columns.items():
        setattr(row, name, value)
    return True


def _note_failure(row: ReportSchedule, error: str) -> None:
    """Keep why a report was not sent, and switch it off after too many failures in a row."""
    schedules.note_failure(schedule=row, error=error, is_last=row.failures >= MAX_FAILURES, held=_held(row), by=SENDER)


def _reason(error: Exception) -> str:
    return (str(error.detail) if isinstance(error, Problem) and error.detail else f"{type(error).__name__}: {error}")[:300]


def _send(row: ReportSchedule, *, now: datetime) -> bool:
    """Send one report that was claimed; the figures are read before, so that the transaction is short. False: it was changed meanwhile."""
    days = days_of(row, now=now)
    with translation.override(row.language):
        found = report(row.tenant_id, by=By(row.report), days=days)
        subject, body = compose(row, found)
        files = attached(found)
    with transaction.atomic():
        done = {"next_at": next_time(row, after=now), "last_at": now, "failures": 0, "last_error": "", "failing_since": None}
        if not _held(row).update(**done):
            return False
        for recipient in row.recipients:
            _accept(row, recipient, subject, body, files, now=now)
    log.info("report sent", schedule=str(row.pk), tenant=row.tenant_id, recipients=len(row.recipients))
    return True


def days_of(row: ReportSchedule, *, now: datetime) -> Days:
    """Return the days that a report is about: the last seven before today, for a daily one that is not by day only yesterday."""
    zone = zones.zone(row.time_zone) or zones.zone("UTC")
    assert zone is not None
    last = now.astimezone(zone).date() - timedelta(days=1)
    is_week = row.weekday is not None or row.report == By.DAY
    return Days(last - timedelta(days=USUAL_DAYS - 1) if is_week else last, last, zone)


def compose(row: ReportSchedule, found: Report) -> tuple[str, str]:
    """Return subject and text of a report in the language that is active: all together, each row, and where the file is."""
    days = found.days
    when = str(days.first) if days.first == days.last else f"{days.first} – {days.last}"
    subject = _("Service desk of {tenant}, {when}, by {what}").format(
        tenant=get_tenant(row.tenant_id).name, when=when, what=str(found.by.label).lower()
    )
    asked = {"tenant": row.tenant_id, "by": found.by.value, "from": days.first, "to": days.last, "zone": days.zone.key}
    address = f"{env.load().public_url}{reverse('desk-reports')}?{urlencode(asked)}"
    parts = [_block(found.total)]
    parts += [_block(each) for each in found.rows[:MAX_ROWS] if each.measures.received or each.measures.resolved or each.measures.ratings]
    parts.append(_("Page: {url}").format(url=address))
    parts.append(_("File: {url}").format(url=f"{address}&csv=1"))
    return subject, "\n\n".join(parts)


def attached(found: Report) -> list[dict[str, str]]:
    """Return the table as a file that goes with the e-mail; none if it is too large, as the link in the text leads to it."""
    text = as_text(heads=heads(found.by), rows=cells(found))
    return [{"name": f"{file_name(found)}.csv", "text": text}] if len(text) <= MAX_CHARACTERS else []


def _block(row: Row) -> str:
    """Return a row as lines of text; what is not known is left out."""
    figures = row.figures()
    known = [(column, figures[column.name]) for column in COLUMNS if figures[column.name] is not None]
    return "\n".join([row.label, *(f"  {column.title}: {shown(value, column.form)}" for column, value in known)])


def _accept(row: ReportSchedule, recipient: str, subject: str, body: str, files: list[dict[str, str]], *, now: datetime) -> None:
    """Hand messaging one e-mail, in the caller's transaction; it is published after the commit."""
    key = f"report:{row.pk.hex}:{row.next_at:%Y%m%d%H%M}:{hashlib.sha256(recipient.encode()).hexdigest()[:32]}"
    message = NewRow(
        id=new_id(),
        tenant_id=row.tenant_id,
        api_key_id=None,
        batch_id=None,
        channel=EMAIL,
        recipient=recipient,
        priority=PRIORITY,
        status=PENDING,
        is_sandbox=False,
        template_version_id=None,
        variables={},
        subject=subject,
        body=body,
        segments=None,
        reference=str(row.pk),
        metadata={"report": row.report, "schedule": str(row.pk), **({"mail": {"files": files}} if files else {})},
        created_at=now,
        due_at=now,
        expires_at=None,
    )
    accept_message(message, repeatable=Repeatable(key, hashlib.sha256(key.encode()).digest()))
