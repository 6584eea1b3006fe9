"""What the API takes and shows of jobs and their runs."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body
from jobs.labels import reason_text
from jobs.models import OPEN_STATES, JobRun, RunState, Trigger
from jobs.policies import Blocking, Misfire
from jobs.registry import MAX_INTERVAL
from jobs.selectors import JobRow
from jobs.services import drafts, parameters, run_log, transitions
from jobs.services.plans import When
from posthaste.lib.dates import within_range
from posthaste.lib.filters import Query, WholeNumber
from posthaste.lib.problems import Invalid

T = TypeVar("T")

MAX_LOG = 4 * run_log.PIECE


class RunOut(serializers.ModelSerializer[JobRun]):
    """One run of a job."""

    job_id = serializers.IntegerField()
    job = serializers.CharField(source="job.name", help_text="The name of the job.")
    state = serializers.ChoiceField(choices=RunState.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    error_text = serializers.SerializerMethodField(help_text="`error` in words, in the language of `Accept-Language`.")
    is_stoppable = serializers.SerializerMethodField(help_text="It is in a process of its own, which can be ended.")
    duration_ms = serializers.SerializerMethodField(help_text="Null unless it has begun and ended.")

    class Meta:
        model = JobRun
        fields = [
            "id", "job_id", "job", "task", "state", "trigger", "nominal_at", "parameters", "shard", "shards", "attempt", "parent_id",
            "asked_by", "due_at", "started_at", "ended_at", "duration_ms", "worker", "is_stoppable", "stop_asked_at", "error", "error_text",
            "log_size",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField())
    def get_error_text(self, run: JobRun) -> str:
        return reason_text(run.error)

    @extend_schema_field(serializers.BooleanField())
    def get_is_stoppable(self, run: JobRun) -> bool:
        return run.is_stoppable and run.state in OPEN_STATES

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_duration_ms(self, run: JobRun) -> int | None:
        return round((run.ended_at - run.started_at).total_seconds() * 1000) if run.ended_at and run.started_at else None


class ParameterOut(serializers.Serializer[Any]):
    """A parameter that the function of a job takes."""

    name = serializers.CharField()
    type = serializers.ChoiceField(
        choices=parameters.TYPES, help_text="`date` and `datetime` are written as in ISO 8601; `json` is any other value."
    )
    default = serializers.JSONField(allow_null=True, help_text="What it is where neither the job nor the run sets it.")
    choices = serializers.ListField(child=serializers.CharField(), help_text="Of the type `choice`: its values.")


class JobOut(serializers.Serializer[Any]):
    """One job with its schedule and limits."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    task = serializers.CharField(help_text="The registered function that it runs.")
    title = serializers.CharField()
    description = serializers.CharField()
    is_declared = serializers.BooleanField(help_text="One of the platform's own: it can be reset and disabled, but not deleted.")
    is_enabled = serializers.BooleanField()
    cron = serializers.CharField(help_text="Five fields; empty: it is no cron job.")
    every_seconds = serializers.FloatField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True, help_text="Of a job that fires once.")
    time_zone = serializers.CharField()
    calendar = serializers.CharField(help_text="`weekdays`, the code of a country, or empty for every day.")
    starts_at = serializers.DateTimeField(allow_null=True, help_text="It does not fire before.")
    ends_at = serializers.DateTimeField(allow_null=True, help_text="It does not fire after.")
    next_at = serializers.DateTimeField(allow_null=True)
    blocking = serializers.ChoiceField(choices=Blocking.choices)
    misfire = serializers.ChoiceField(choices=Misfire.choices)
    timeout_seconds = serializers.IntegerField()
    retries = serializers.IntegerField()
    retry_delay_seconds = serializers.IntegerField()
    shards = serializers.IntegerField()
    child_id = serializers.IntegerField(allow_null=True)
    parameters = serializers.DictField(help_text="Those that differ from the defaults of the function.")
    signature = ParameterOut(many=True, help_text="The parameters that the function takes. Empty: none.")
    keeps_runs = serializers.BooleanField(help_text="False: it runs more often than once a minute, and runs are only counted.")
    last_run = RunOut(allow_null=True)


def shown(row: JobRow) -> dict[str, Any]:
    """Return a job as `JobOut` shows it."""
    plan = row.plan
    return {
        "id": plan.pk,
        "name": plan.job.name,
        "task": plan.job.task,
        "title": str(row.job.title) if row.job else plan.job.name,
        "description": plan.job.description,
        "is_declared": drafts.declared(plan.job) is not None,
        "is_enabled": plan.job.enabled,
        "cron": row.when.cron,
        "every_seconds": row.when.every.total_seconds() if row.when.every else None,
        "at": row.when.at,
        "starts_at": plan.job.start_time,
        "ends_at": plan.job.expires,
        "next_at": row.next_at,
        "parameters": transitions.parameters_of_row(plan.job),
        "signature": parameters.described(row.job) if row.job else [],
        "last_run": row.last,
        **{
            name: getattr(plan, name)
            for name in (
                "time_zone", "calendar", "blocking", "misfire", "timeout_seconds", "retries", "retry_delay_seconds", "shards", "child_id",
                "keeps_runs",
            )
        },
    }  # fmt: skip


class JobChange(Body):
    """What is changed of a job. Another of `cron`, `every_seconds` and `at` takes the place of the one it has."""

    name = serializers.CharField(max_length=200, help_text="Unique. Runs, alarms and this API call the job by it.")
    description = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    is_enabled = serializers.BooleanField(required=False, help_text="Nothing is started for the time it was disabled.")
    cron = serializers.CharField(
        max_length=200, required=False, help_text="Minute, hour, day of the month, month, day of the week, in `time_zone`."
    )
    every_seconds = serializers.FloatField(
        min_value=1, max_value=MAX_INTERVAL.total_seconds(), required=False, help_text="At least 60, unless runs are only counted."
    )
    at = serializers.DateTimeField(validators=[within_range], required=False, help_text="Fires once, then.")
    time_zone = serializers.CharField(
        max_length=63, required=False, help_text="Such as `Europe/Paris`. UTC unless the task declares another."
    )
    calendar = serializers.CharField(
        max_length=20, allow_blank=True, required=False, help_text="`weekdays`, the code of a country, or empty for every day."
    )
    starts_at = serializers.DateTimeField(validators=[within_range], allow_null=True, required=False)
    ends_at = serializers.DateTimeField(validators=[within_range], allow_null=True, required=False)
    blocking = serializers.ChoiceField(choices=Blocking.choices, required=False)
    misfire = serializers.ChoiceField(choices=Misfire.choices, required=False)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=drafts.MAX_TIMEOUT, required=False)
    retries = serializers.IntegerField(min_value=0, max_value=drafts.MAX_RETRIES, required=False)
    retry_delay_seconds = serializers.IntegerField(min_value=1, max_value=drafts.MAX_RETRY_DELAY, required=False)
    shards = serializers.IntegerField(
        min_value=0, max_value=drafts.MAX_SHARDS, required=False, help_text="Runs at once; 0: one for each live worker."
    )
    child_id = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, allow_null=True, required=False, help_text="The job to start after a success."
    )
    parameters = serializers.DictField(required=False, help_text="Those of the function's signature. They replace all that were set.")


class JobIn(JobChange):
    """A new job."""

    task = serializers.CharField(max_length=200, help_text="The registered function that it runs.")


NEW_JOB = OpenApiExample(
    "Working days in Shanghai",
    {"name": "tidy up", "task": "configcenter.forget_old_releases", "cron": "30 4 * * *", "time_zone": "Asia/Shanghai", "calendar": "CN"},
    request_only=True,
)
#: The fields that say when a job fires; one of them is given.
WHEN = ("cron", "every_seconds", "at")
#: What the API calls the parts of a draft.
NAMES = {"enabled": "is_enabled"}


def must_say_when(values: Mapping[str, Any]) -> None:
    """Check that a body says when a job fires.

    Raises:
        Invalid: it does not.
    """
    if not any(name in values for name in WHEN):
        raise Invalid.field("cron", _("Give one of {names}.").format(names=", ".join(WHEN)), code="required")


def as_sent(problem: Invalid) -> Invalid:
    """Name wrong parameters of a run as they were sent."""
    return problem.renamed({str(error["field"]): f"parameters.{error['field']}" for error in problem.errors})


def stored(values: Mapping[str, Any], store: Callable[[dict[str, Any]], T]) -> T:
    """Hand the parts of a draft that a body names to `store`, and return its answer.

    Raises:
        Invalid: naming the fields of the body.
    """
    given = [name for name in WHEN if name in values]
    if len(given) > 1:
        message = _("Give only one of {names}.").format(names=", ".join(given))
        raise Invalid(errors=[{"field": name, "code": "invalid", "message": message} for name in given])
    changes = {name: value for name, value in values.items() if name not in (*WHEN, "is_enabled")}
    if "is_enabled" in values:
        changes["enabled"] = values["is_enabled"]
    if given:
        every = values.get("every_seconds")
        changes["when"] = When(
            cron=" ".join(values.get("cron", "").split()), every=timedelta(seconds=every) if every else None, at=values.get("at")
        )
    try:
        return store(changes)
    except Invalid as problem:
        raise problem.renamed({**NAMES, "when": given[0] if given else "cron"}) from None


class RunIn(Body):
    """What a run is started with."""

    parameters = serializers.DictField(
        required=False, help_text="Those of the function's signature; without it, those the job is scheduled with."
    )


class LogQuery(Query):
    """Which part of a log."""

    start = WholeNumber(
        min_value=0, max_value=2**40, default=0, help_text="Position of the first character: 0, or `end` of the last answer."
    )
    limit = WholeNumber(min_value=1, max_value=MAX_LOG, default=run_log.PIECE, help_text="Characters at most.")


class LogOut(serializers.Serializer[Any]):
    """A part of a run's log."""

    text = serializers.CharField()
    start = serializers.IntegerField()
    end = serializers.IntegerField(help_text="Where the next part starts.")
    size = serializers.IntegerField(help_text="Characters of the whole log so far.")
    is_open = serializers.BooleanField(help_text="Whether the run may write more.")
