"""The form of a job: its fields in words, read into a `Draft`."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from jobs import selectors
from jobs.policies import Blocking, Misfire
from jobs.registry import Job
from jobs.services import calendars
from jobs.services.drafts import MAX_RETRIES, MAX_RETRY_DELAY, MAX_SHARDS, MAX_TIMEOUT, Draft
from jobs.services.plans import When
from posthaste.lib.dates import within_range
from posthaste.lib.zones import zone

UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
LOCAL = "%Y-%m-%dT%H:%M"
#: Which field shows what is wrong with which part of a draft.
SHOWN_AT = {"child_id": "child"}


def _moment(**options: Any) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL)
    return forms.DateTimeField(required=False, widget=widget, validators=[within_range], **options)


class JobForm(forms.Form):
    """A job as people write it. Times are those of the job's own zone."""

    name = forms.CharField(label=_("Name"), max_length=200, help_text=_("Unique. Runs, alarms and the API call the job by it."))
    description = forms.CharField(label=_("Description"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    enabled = forms.BooleanField(label=_("Enabled"), required=False, help_text=_("Enabling never starts a run for the past."))
    kind = forms.ChoiceField(
        label=_("Fires"), choices=[("cron", _("By a crontab")), ("interval", _("At an interval")), ("once", _("Once"))]
    )
    cron = forms.CharField(
        label=_("Crontab"),
        required=False,
        max_length=200,
        help_text=_("Minute, hour, day of the month, month, day of the week: 30 4 * * 1-5 is 04:30 from Monday to Friday."),
        widget=forms.TextInput(attrs={"class": "code", "spellcheck": "false", "autocomplete": "off"}),
    )
    number = forms.IntegerField(label=_("Every"), required=False, min_value=1, max_value=10_000_000)
    unit = forms.ChoiceField(
        label=_("Unit"), choices=[("seconds", _("seconds")), ("minutes", _("minutes")), ("hours", _("hours")), ("days", _("days"))]
    )
    at = _moment(label=_("Moment"))
    time_zone = forms.CharField(
        label=_("Time zone"),
        max_length=63,
        help_text=_("Such as Europe/Paris. A fixed time that the clock skips runs right after the gap; one that comes twice counts once."),
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off", "spellcheck": "false"}),
    )
    calendar = forms.ChoiceField(
        label=_("Runs on"), required=False, help_text=_("Of a country: its working days, with public holidays and exchanged days.")
    )
    starts_at = _moment(label=_("Not before"))
    ends_at = _moment(label=_("Not after"))
    blocking = forms.ChoiceField(label=_("While a run goes on, the next one"), choices=Blocking.choices)
    misfire = forms.ChoiceField(label=_("Runs missed while the platform was down"), choices=Misfire.choices)
    timeout_seconds = forms.IntegerField(
        label=_("Time-out in seconds"), min_value=1, max_value=MAX_TIMEOUT, help_text=_("A run that takes longer is ended.")
    )
    retries = forms.IntegerField(label=_("Retries"), min_value=0, max_value=MAX_RETRIES, help_text=_("After a failure or a time-out."))
    retry_delay_seconds = forms.IntegerField(
        label=_("Seconds before the first retry"), min_value=1, max_value=MAX_RETRY_DELAY, help_text=_("Doubled for each further one.")
    )
    shards = forms.IntegerField(
        label=_("Shards"),
        min_value=0,
        max_value=MAX_SHARDS,
        help_text=_("Fires so many runs at once, each told which part is its own. 0: one for each live worker."),
    )
    child = forms.ChoiceField(label=_("After a success, start"), required=False)

    def __init__(self, *args: Any, job: Job, own_id: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job = job
        self.fields["calendar"].choices = list(calendars.names().items())  # type: ignore[attr-defined]
        others = [(str(plan.pk), plan.job.name) for plan in selectors.plan_rows() if plan.pk != own_id and plan.keeps_runs]
        self.fields["child"].choices = [("", _("Nothing")), *others]  # type: ignore[attr-defined]
        if not job.keeps_runs:
            for name in ("retries", "retry_delay_seconds", "shards", "child", "timeout_seconds", "blocking"):
                self.fields[name].required = False
                self.fields[name].disabled = True

    @property
    def zones(self) -> list[str]:
        """The names of time zones, for suggestions."""
        return sorted(name for name in available_timezones() if "/" in name or name == "UTC")

    def draft(self, given: dict[str, Any]) -> Draft:
        """Return what the form says; only for a valid one."""
        value = self.cleaned_data
        return Draft(
            name=value["name"],
            task=self.job.name,
            when=when_of_form(value, value["time_zone"]),
            time_zone=value["time_zone"],
            calendar=value["calendar"],
            description=value["description"],
            enabled=value["enabled"],
            starts_at=in_zone(value["starts_at"], value["time_zone"]),
            ends_at=in_zone(value["ends_at"], value["time_zone"]),
            blocking=value["blocking"],
            misfire=value["misfire"],
            timeout_seconds=value["timeout_seconds"],
            retries=value["retries"],
            retry_delay_seconds=value["retry_delay_seconds"],
            shards=value["shards"],
            child_id=int(value["child"]) if value["child"] else None,
            parameters=given,
        )

    def add_problem(self, name: str, message: str) -> None:
        """Show what a service found wrong at the field that it concerns."""
        name = SHOWN_AT.get(name, name)
        if name == "when":
            name = {"cron": "cron", "interval": "number", "once": "at"}.get(self.cleaned_data.get("kind", ""), "kind")
        self.add_error(name if name in self.fields else None, message)


def in_zone(value: datetime | None, name: str) -> datetime | None:
    """Return a moment as its wall clock reads in a time zone; the form's own zone is that of the page."""
    found = zone(name)
    return value.replace(tzinfo=found) if value is not None and found is not None else value


def when_of_form(value: dict[str, Any], zone_name: str) -> When:
    """Return when a job fires, of the fields `kind`, `cron`, `number`, `unit` and `at`."""
    if value.get("kind") == "interval":
        number = value.get("number")
        return When(every=timedelta(seconds=number * UNITS.get(value.get("unit", ""), 1))) if number else When(every=timedelta(0))
    if value.get("kind") == "once":
        at = in_zone(value.get("at"), zone_name)
        return When(at=at) if at else When(cron="")
    return When(cron=" ".join((value.get("cron") or "").split()))


def initial_of(draft: Draft) -> dict[str, Any]:
    """Return a draft as the fields of the form."""
    name = draft.time_zone if zone(draft.time_zone) else "UTC"

    def local(moment: datetime | None) -> datetime | None:
        return moment.astimezone(ZoneInfo(name)).replace(tzinfo=None) if moment else None

    every = draft.when.every
    seconds = int(every.total_seconds()) if every else 3_600
    unit = next((unit for unit in ("days", "hours", "minutes") if seconds % UNITS[unit] == 0), "seconds")
    return {
        "name": draft.name,
        "description": draft.description,
        "enabled": draft.enabled,
        "kind": "interval" if every else "once" if draft.when.at else "cron",
        "cron": draft.when.cron or "0 6 * * *",
        "number": seconds // UNITS[unit],
        "unit": unit,
        "at": local(draft.when.at),
        "time_zone": draft.time_zone,
        "calendar": draft.calendar,
        "starts_at": local(draft.starts_at),
        "ends_at": local(draft.ends_at),
        "blocking": draft.blocking,
        "misfire": draft.misfire,
        "timeout_seconds": draft.timeout_seconds,
        "retries": draft.retries,
        "retry_delay_seconds": draft.retry_delay_seconds,
        "shards": draft.shards,
        "child": str(draft.child_id or ""),
    }
