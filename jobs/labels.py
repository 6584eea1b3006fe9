"""How jobs and their runs look, and how their schedules and ends are said."""

import calendar
from datetime import timedelta

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException, get_description
from django.db.models import TextChoices
from django.utils import formats, timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.models import PeriodicTask

from jobs import registry
from jobs.models import RunState
from jobs.services import drafts, schedule, supervisor, transitions
from jobs.services.plans import When
from posthaste.ui import badges
from posthaste.ui.badges import Look


class Switch(TextChoices):
    """Whether the clock starts a job."""

    ENABLED = "enabled", _("Enabled")
    DISABLED = "disabled", _("Disabled")


badges.register(
    "job_switch",
    Switch,
    {Switch.ENABLED: Look("delivered", "sent"), Switch.DISABLED: Look("cancelled", "cancelled")},
)
badges.register(
    "job_run",
    RunState,
    {
        RunState.WAITING: Look("pending", "pending"),
        RunState.RUNNING: Look("sending", "sending"),
        RunState.SUCCEEDED: Look("delivered", "delivered"),
        RunState.FAILED: Look("failed", "failed"),
        RunState.TIMED_OUT: Look("failed", "expired"),
        RunState.KILLED: Look("unknown", "cancelled"),
        RunState.DISCARDED: Look("cancelled", "suppressed"),
        RunState.SKIPPED: Look("cancelled", "expired"),
    },
)

NAMES = [*((name, number) for number, name in enumerate(calendar.day_name)), *zip(list(calendar.month_name)[1:], range(1, 13), strict=True)]
MINUTE, HOUR, DAY = 60, 3_600, 86_400
#: Intervals of one unit, by their seconds.
UNITS: dict[float, Promise] = {1: _("Every second"), MINUTE: _("Every minute"), HOUR: _("Every hour"), DAY: _("Every day")}
#: What an end without an error of its own means, by its code.
REASONS = {
    transitions.WORKER_LOST: _("The worker gave no sign of life any more: it was killed, or its host is down."),
    transitions.EXPIRED: _("No worker took it in time."),
    transitions.OVERLAPS: _("The run before it was still running."),
    transitions.NOT_INSTALLED: _("This installation has no job of this name."),
    transitions.COVERED: _("The next run took over."),
    transitions.MISSED: _("It was due while no beat process ran."),
    supervisor.TIMED_OUT: _("It ran longer than its time-out, and was ended."),
    supervisor.WORKER_STOPS: _("The worker was told to stop."),
    supervisor.GONE: _("It was ended from elsewhere."),
}


def reason_text(error: str) -> str:
    """Return why a run ended as it did: the words of a code, or its own error."""
    if error.startswith(schedule.STOPPED_BY):
        return gettext("It was stopped by {who}.").format(who=error.removeprefix(schedule.STOPPED_BY).removesuffix("."))
    return str(REASONS.get(error, error))


def duration(seconds: float) -> str:
    """Say a span in seconds, minutes, hours or days, where these are whole."""
    if seconds >= DAY and seconds % DAY == 0:
        return ngettext("{n} day", "{n} days", int(seconds // DAY)).format(n=int(seconds // DAY))
    if seconds >= HOUR and seconds % HOUR == 0:
        return ngettext("{n} hour", "{n} hours", int(seconds // HOUR)).format(n=int(seconds // HOUR))
    if seconds >= MINUTE and seconds % MINUTE == 0:
        return ngettext("{n} minute", "{n} minutes", int(seconds // MINUTE)).format(n=int(seconds // MINUTE))
    return ngettext("{n} second", "{n} seconds", int(seconds) if seconds == int(seconds) else 2).format(n=f"{seconds:g}")


def every_text(every: timedelta) -> str:
    """Say how often an interval comes round."""
    if (unit := UNITS.get(every.total_seconds())) is not None:
        return str(unit)
    return gettext("Every {span}").format(span=duration(every.total_seconds()))


def cron_text(expression: str) -> str:
    """Say when a cron expression comes round, in the reader's language; empty if it can't be described."""
    options = Options()
    options.locale_code = "zh_CN" if (get_language() or "").startswith("zh") else "en_US"
    options.use_24hour_time_format = True
    try:
        text = str(get_description(expression, options))
    except (FormatException, MissingFieldException, WrongArgumentException):
        return ""
    for english, number in NAMES:  # the package takes them from the process's locale, whatever language it writes
        text = text.replace(english, str(WEEKDAYS[number] if english in calendar.day_name else MONTHS[number]))
    return text


def when_text(when: When) -> str:
    """Say when a job fires."""
    if when.every is not None:
        return every_text(when.every)
    if when.at is not None:
        local = timezone.localtime(when.at)
        return gettext("Once, at {moment}").format(
            moment=f"{formats.date_format(local, 'SHORT_DATE_FORMAT')} {local:%H:%M} {local.tzname()}"
        )
    return cron_text(when.cron) or when.cron or gettext("Never")


def title_of(row: PeriodicTask) -> str:
    """Return what pages call a job: one of the platform's own by the title of its function, one that people made by its name."""
    found = registry.find(row.task) if drafts.declared(row) else None
    return str(found.title) if found else row.name
