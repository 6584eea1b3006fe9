"""Scheduled jobs in the admin: the pages of django-celery-beat in our frame, with an audit entry for each change."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cron_descriptor import FormatException, MissingFieldException, Options, WrongArgumentException, get_description
from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    DAYS,
    HOURS,
    MINUTES,
    SECONDS,
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import SuperuserOnly
from jobs import registry
from jobs.actions import Action
from jobs.labels import Switch
from jobs.services import schedule
from posthaste.lib.dates import within_range
from posthaste.lib.problems import NotFound
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, thousands, two_lines

#: A native field for times, in UTC as everywhere here.
NATIVE_TIMES: Mapping[Any, Any] = {
    models.DateTimeField: {
        "form_class": forms.DateTimeField,
        "validators": [within_range],
        "widget": forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
    }
}
LARGER = ((86_400, DAYS), (3_600, HOURS), (60, MINUTES))


def in_words(interval: IntervalSchedule) -> str:
    """Say how often an interval comes round: 86,400 seconds are a day."""
    seconds = interval.every * {DAYS: 86_400, HOURS: 3_600, MINUTES: 60, SECONDS: 1}.get(interval.period, 0)
    for size, period in LARGER:
        if seconds and seconds % size == 0:
            return str(IntervalSchedule(every=seconds // size, period=period))
    return str(interval)


def duration(span: timedelta) -> str:
    """Say a time-out in seconds, or in minutes where these are whole."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    if minutes and not seconds:
        return ngettext("{n} minute", "{n} minutes", minutes).format(n=minutes)
    return ngettext("{n} second", "{n} seconds", seconds + 60 * minutes).format(n=seconds + 60 * minutes)


def crontab_in_words(crontab: CrontabSchedule) -> str:
    """Say when a crontab comes round, in the reader's language; empty if it cannot be described."""
    options = Options()
    options.locale_code = "zh_CN" if (get_language() or "").startswith("zh") else "en_US"
    options.use_24hour_time_format = True
    try:
        return str(get_description(_expression(crontab), options))
    except (FormatException, MissingFieldException, WrongArgumentException):
        return ""


def _expression(crontab: CrontabSchedule) -> str:
    return f"{crontab.minute} {crontab.hour} {crontab.day_of_month} {crontab.month_of_year} {crontab.day_of_week}"


def _ids(queryset: "models.QuerySet[PeriodicTask]") -> list[int]:
    return [*queryset.values_list("pk", flat=True)]


admin.site.unregister([PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule])


class JobForm(beat.PeriodicTaskForm):  # type: ignore[misc]
    """Schedules jobs of the registry, and nothing else that Celery happens to know."""

    regtask = forms.ChoiceField(label=gettext_lazy("job"), choices=lambda: [("", ""), *((job.name, job.title) for job in registry.jobs())])
    task = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["regtask"].initial = self.instance.task

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = self.cleaned_data
        if not (name := cleaned.get("regtask")):
            return cleaned  # the field has said so
        self.cleaned_data["task"] = self.instance.task = name
        for field in ("interval", "crontab"):
            if cleaned.get(field) and (reason := schedule.why_never(cleaned[field])):
                self.add_error(field, reason)
        return super().clean()  # type: ignore[no-any-return]


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a schedule that never comes round."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]  # which builds and checks the row
        if not self.errors and (reason := schedule.why_never(self.instance)):
            self.add_error(None, reason)


@admin.register(PeriodicTask)
class JobAdmin(SuperuserOnly, beat.PeriodicTaskAdmin):  # type: ignore[misc]
    """What the clock starts."""

    purpose = gettext_lazy("Jobs that run on a schedule. The platform's own jobs get their default schedule back at every start.")
    date_hierarchy = None
    form = JobForm
    list_display = ["job", "state", "when", "limits", "blocking", "misfire", "queue_of_job", "last_run", "runs"]
    list_filter = ["enabled", "one_off"]
    search_help_text = gettext_lazy("Part of the name or of the task.")
    formfield_overrides = NATIVE_TIMES
    readonly_fields = [*beat.PeriodicTaskAdmin.readonly_fields, "about"]
    saves_by_service = True
    audit_actions = (Action.JOB_CREATE, Action.JOB_CHANGE, Action.JOB_DELETE, Action.JOB_ENABLE, Action.JOB_DISABLE, Action.JOB_RUN)
    fieldsets = [
        (None, {"fields": ["name", "regtask", "about", "enabled", "description"], "classes": ["extrapretty", "wide"]}),
        *(fieldset for fieldset in beat.PeriodicTaskAdmin.fieldsets[1:] if "args" not in fieldset[1]["fields"]),  # jobs take none
    ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Scheduled jobs"), **(extra_context or {})})

    def changeform_view(self, request: HttpRequest, object_id: Any = None, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        words = {crontab.pk: crontab_in_words(crontab) for crontab in CrontabSchedule.objects.all()}
        named = {"list_title": _("Scheduled jobs"), "crontabs_in_words": words}
        if job := self.get_object(request, object_id) if object_id else None:
            named["heading"] = job.name
        return super().changeform_view(request, object_id, form_url, {**named, **(extra_context or {})})

    @admin.display(description=gettext_lazy("state"), ordering="enabled")
    def state(self, row: PeriodicTask) -> SafeString:
        return badge(Switch.ENABLED if row.enabled else Switch.DISABLED)

    @admin.display(description=gettext_lazy("schedule"))
    def when(self, row: PeriodicTask) -> SafeString | str:
        if row.interval:
            return in_words(row.interval)
        if row.crontab:
            return two_lines(crontab_in_words(row.crontab), f"{_expression(row.crontab)} {row.crontab.timezone}")
        return str(row.solar or row.clocked or NOTHING)

    @admin.display(description=gettext_lazy("job"), ordering="name")
    def job(self, row: PeriodicTask) -> SafeString:
        found = registry.find(row.task)
        return two_lines(str(found.title) if found else row.name, row.task)

    @admin.display(description=gettext_lazy("time-out"))
    def limits(self, row: PeriodicTask) -> str:
        return duration(found.timeout) if (found := registry.find(row.task)) else NOTHING

    @admin.display(description=gettext_lazy("while one runs"))
    def blocking(self, row: PeriodicTask) -> str:
        return str(found.blocking.label) if (found := registry.find(row.task)) else NOTHING

    @admin.display(description=gettext_lazy("missed runs"))
    def misfire(self, row: PeriodicTask) -> str:
        return str(found.misfire.label) if (found := registry.find(row.task)) else NOTHING

    @admin.display(description=gettext_lazy("queue"))
    def queue_of_job(self, row: PeriodicTask) -> SafeString | str:
        queue = row.queue or ((found := registry.find(row.task)) and found.queue)
        return format_html("<code>{}</code>", queue) if queue else NOTHING

    @admin.display(description=gettext_lazy("what it does"))
    def about(self, row: PeriodicTask) -> SafeString | str:
        """Describe the job as the registry knows it."""
        found = registry.find(row.task)
        if found is None:
            return _("This installation has no job of this name, so nothing runs.") if row.task else NOTHING
        limits = _(
            "Time-out {timeout}: a run that takes longer is logged, not ended, as a worker cannot end one. "
            "A run that waits more than {expires} for a worker is left out. While one runs, the next one: {blocking}. "
            "Runs that were due while no beat process ran: {misfire}. Queue: {queue}."
        ).format(
            timeout=duration(found.timeout),
            expires=duration(found.expires),
            blocking=found.blocking.label,
            misfire=found.misfire.label,
            queue=found.queue,
        )
        return two_lines(str(found.purpose), limits)

    @admin.display(description=gettext_lazy("last run"), ordering="last_run_at")
    def last_run(self, row: PeriodicTask) -> SafeString:
        return ago(row.last_run_at)

    @admin.display(description=gettext_lazy("runs"), ordering="total_run_count")
    def runs(self, row: PeriodicTask) -> str:
        return thousands(row.total_run_count)

    @admin.display(description=gettext_lazy("in words"))
    def crontab_translation(self, obj: PeriodicTask) -> str:
        return crontab_in_words(obj.crontab) if obj.crontab else NOTHING

    # --- changes ---------------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: Any, change: bool) -> None:
        if change:
            schedule.change_job(job=obj, fields=form.changed_data, by=Actor.of_request(request))
        else:
            schedule.create_job(job=obj, by=Actor.of_request(request))

    def delete_model(self, request: HttpRequest, obj: PeriodicTask) -> None:
        schedule.delete_job(job=obj, by=Actor.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for job in queryset:
            schedule.delete_job(job=job, by=Actor.of_request(request))

    # --- many at once ----------------------------------------------------------------------------------------

    @admin.action(description=gettext_lazy("Switch on"))
    def enable_tasks(self, request: HttpRequest, queryset: Any) -> None:
        number = schedule.enable_jobs(ids=_ids(queryset), by=Actor.of_request(request))
        self.message_user(request, ngettext("{n} job is switched on.", "{n} jobs are switched on.", number).format(n=number))

    @admin.action(description=gettext_lazy("Switch off"))
    def disable_tasks(self, request: HttpRequest, queryset: Any) -> None:
        number = schedule.disable_jobs(ids=_ids(queryset), by=Actor.of_request(request))
        self.message_user(request, ngettext("{n} job is switched off.", "{n} jobs are switched off.", number).format(n=number))

    @admin.action(description=gettext_lazy("Run now"))
    def run_tasks(self, request: HttpRequest, queryset: Any) -> None:
        try:
            number = schedule.run_jobs(ids=_ids(queryset), by=Actor.of_request(request))
        except NotFound as problem:
            self.message_user(request, str(problem.detail), level=messages.ERROR)
        else:
            self.message_user(request, ngettext("{n} job was started.", "{n} jobs were started.", number).format(n=number))

    actions = ["enable_tasks", "disable_tasks", "run_tasks"]


class JobsOfSchedule(beat.PeriodicTaskInline):  # type: ignore[misc]
    verbose_name = gettext_lazy("job on this schedule")
    verbose_name_plural = gettext_lazy("Jobs on this schedule")
    fields = ["name", "function"]
    readonly_fields = fields

    @admin.display(description=gettext_lazy("task"))
    def function(self, row: PeriodicTask) -> SafeString:
        return format_html("<code>{}</code>", row.task)


class Schedule(SuperuserOnly):
    """When jobs come round."""

    formfield_overrides = NATIVE_TIMES
    empty_text = gettext_lazy("Schedules of this kind appear here once a job needs one.")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return [JobsOfSchedule] if obj else []


@admin.register(IntervalSchedule)
class IntervalAdmin(Schedule):
    purpose = gettext_lazy("Every given number of seconds, minutes, hours or days.")
    form = ScheduleForm
    list_display = ["words"]

    @admin.display(description=gettext_lazy("interval"))
    def words(self, row: IntervalSchedule) -> str:
        return in_words(row)


@admin.register(CrontabSchedule)
class CrontabAdmin(Schedule):
    purpose = gettext_lazy("At times of the day, on days of the week or month, as in a crontab.")
    form = ScheduleForm
    list_display = ["expression", "words", "timezone"]
    fields = ["minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone"]

    @admin.display(description=gettext_lazy("crontab"))
    def expression(self, row: CrontabSchedule) -> SafeString:
        return format_html("<code>{}</code>", _expression(row))

    @admin.display(description=gettext_lazy("in words"))
    def words(self, row: CrontabSchedule) -> str:
        return crontab_in_words(row) or NOTHING


@admin.register(SolarSchedule)
class SolarAdmin(Schedule):
    purpose = gettext_lazy("At sunrise, sunset or another event of the sun at a place.")


@admin.register(ClockedSchedule)
class ClockedAdmin(Schedule):
    purpose = gettext_lazy("Once, at a given moment.")
    list_display = ["at"]

    @admin.display(description=gettext_lazy("Clock Time"), ordering="clocked_time")
    def at(self, row: ClockedSchedule) -> SafeString:
        return ago(row.clocked_time)
