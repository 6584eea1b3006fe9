"""Send the reports that are due: each once, whatever number of processes look.

The claim and the messages are one transaction: `next_at` moves on only from the value that was seen, so a second scheduler changes no row
and sends nothing; a process that dies before the commit has done neither. Reports that were due while nothing ran are sent once.
"""

import hashlib
from datetime import datetime, timedelta
from urllib.parse import urlencode

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.selectors import get_tenant
from jobs.registry import Blocking, job
from messaging.channels.channel import EMAIL
from messaging.channels.email.files import MAX_CHARACTERS
from messaging.intake.accept import accept_message
from messaging.intake.repeats import Repeatable
from messaging.storage.store import NewRow
from posthaste import env
from posthaste.lib import queues, zones
from posthaste.lib.ids import new_id
from posthaste.ui.export import as_text
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
    """Send the reports that are due, and return their number. An error of one does not stop the others."""
    sent = 0
    for row in list(_due(now).order_by("next_at")[:AT_ONCE]):
        try:
            sent += _send(row, now=now)
        except Exception:
            log.exception("report not sent", schedule=str(row.pk), tenant=row.tenant_id)
    return sent


def _send(row: ReportSchedule, *, now: datetime) -> bool:
    """Send one report, unless another process has; the figures are read before, so that the transaction is short."""
    days = days_of(row, now=now)
    with translation.override(row.language):
        found = report(row.tenant_id, by=By(row.report), days=days)
        subject, body = compose(row, found)
        files = attached(found)
    with transaction.atomic():
        same = ReportSchedule.objects.filter(pk=row.pk, next_at=row.next_at, is_active=True)
        if not same.update(next_at=next_time(row, after=now), last_at=now):
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
