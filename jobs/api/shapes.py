"""What the API takes and shows of jobs and their runs."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body
from jobs.labels import reason_text
from jobs.models import JobRun, RunState, Trigger
from jobs.policies import Blocking, Misfire
from jobs.selectors import JobRow
from jobs.services import run_log, transitions
from posthaste.lib.filters import Query, WholeNumber

MAX_LOG = 4 * run_log.PIECE


class RunOut(serializers.ModelSerializer[JobRun]):
    """One run of a job."""

    job_id = serializers.IntegerField()
    job = serializers.CharField(source="job.name", help_text="The name of the job.")
    state = serializers.ChoiceField(choices=RunState.choices)
    trigger = serializers.ChoiceField(choices=Trigger.choices)
    error_text = serializers.SerializerMethodField(help_text="`error` in words, in the language of `Accept-Language`.")
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

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_duration_ms(self, run: JobRun) -> int | None:
        return round((run.ended_at - run.started_at).total_seconds() * 1000) if run.ended_at and run.started_at else None


class JobOut(serializers.Serializer[Any]):
    """One job with its schedule and limits."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    task = serializers.CharField(help_text="The registered function that it runs.")
    title = serializers.CharField()
    is_enabled = serializers.BooleanField()
    cron = serializers.CharField(help_text="Five fields; empty: it is no cron job.")
    every_seconds = serializers.FloatField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True, help_text="Of a job that fires once.")
    time_zone = serializers.CharField()
    calendar = serializers.CharField(help_text="`weekdays`, the code of a country, or empty for every day.")
    next_at = serializers.DateTimeField(allow_null=True)
    blocking = serializers.ChoiceField(choices=Blocking.choices)
    misfire = serializers.ChoiceField(choices=Misfire.choices)
    timeout_seconds = serializers.IntegerField()
    retries = serializers.IntegerField()
    retry_delay_seconds = serializers.IntegerField()
    shards = serializers.IntegerField()
    child_id = serializers.IntegerField(allow_null=True)
    parameters = serializers.DictField()
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
        "is_enabled": plan.job.enabled,
        "cron": row.when.cron,
        "every_seconds": row.when.every.total_seconds() if row.when.every else None,
        "at": row.when.at,
        "next_at": row.next_at,
        "parameters": transitions.parameters_of_row(plan.job),
        "last_run": row.last,
        **{
            name: getattr(plan, name)
            for name in (
                "time_zone", "calendar", "blocking", "misfire", "timeout_seconds", "retries", "retry_delay_seconds", "shards", "child_id",
                "keeps_runs",
            )
        },
    }  # fmt: skip


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
