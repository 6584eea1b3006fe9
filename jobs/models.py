"""What jobs remember: their plans beside django-celery-beat's rows, their runs with logs, and the newest fencing token of each lock."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_celery_beat.models import PeriodicTask

from jobs.policies import Blocking, Misfire
from posthaste.lib.ids import new_id


class Fence(models.Model):
    """One row a lock: a writer with a smaller token than this was overtaken and may not write."""

    tenant_lookup = None

    name = models.CharField(max_length=100, primary_key=True)
    token = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} {self.token}"


class Plan(models.Model):
    """What django-celery-beat's row of a job lacks: zone, calendar, policies, and how far its fire times are decided.

    `cursor` is the last fire time that was decided (fired, skipped, or passed while the job was off): the next one is the first after it,
    whichever beat process looks. `anchor` is what an interval counts from; edits leave it, so they never postpone a run.
    """

    tenant_lookup = None

    job = models.OneToOneField(PeriodicTask, on_delete=models.CASCADE, primary_key=True, related_name="plan")
    time_zone = models.CharField(max_length=63, default="UTC")
    calendar = models.CharField(max_length=20, blank=True, default="")  # of jobs.services.calendars; empty: every day
    blocking = models.CharField(max_length=20, choices=Blocking.choices, default=Blocking.DISCARD)
    misfire = models.CharField(max_length=20, choices=Misfire.choices, default=Misfire.RUN_ONCE)
    timeout_seconds = models.PositiveIntegerField(default=600)
    retries = models.PositiveSmallIntegerField(default=0)
    retry_delay_seconds = models.PositiveIntegerField(default=60)  # before the first retry; doubled for each further one
    child = models.ForeignKey(PeriodicTask, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    shards = models.PositiveSmallIntegerField(default=1)  # 0: one for each live worker
    keeps_runs = models.BooleanField(default=True)  # False: counted only; see jobs.services.counting
    is_edited = models.BooleanField(default=False)  # by people, so the declaration no longer overwrites it
    anchor = models.DateTimeField()
    cursor = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.pk} {self.time_zone}"


class Trigger(models.TextChoices):
    """What started a run."""

    CLOCK = "clock", _("Schedule")
    HAND = "hand", _("By hand")
    CHILD = "child", _("After another job")
    RETRY = "retry", _("Retry")


class RunState(models.TextChoices):
    """How far a run is, and how it ended."""

    WAITING = "waiting", pgettext_lazy("run of a job", "Waiting")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    TIMED_OUT = "timed_out", _("Timed out")
    KILLED = "killed", _("Stopped")
    DISCARDED = "discarded", _("Discarded")
    SKIPPED = "skipped", _("Skipped")


OPEN_STATES = (RunState.WAITING, RunState.RUNNING)


class JobRun(models.Model):
    """One run of a job. A fire time of the clock has one run for each shard, whatever number of beat processes there is."""

    tenant_lookup = None

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    job = models.ForeignKey(PeriodicTask, on_delete=models.CASCADE, related_name="runs")
    task = models.CharField(max_length=200)
    nominal_at = models.DateTimeField()  # the fire time; of a run by hand, when it was asked for
    trigger = models.CharField(max_length=10, choices=Trigger.choices)
    parameters = models.JSONField(default=dict, blank=True)
    shard = models.PositiveSmallIntegerField(default=0)
    shards = models.PositiveSmallIntegerField(default=1)
    attempt = models.PositiveSmallIntegerField(default=1)
    parent_id = models.UUIDField(null=True, blank=True)  # of a child, the run that succeeded last; of a retry, the one that failed
    fire_id = models.UUIDField(default=new_id, editable=False)  # the same for the shards of a fire time and their retries
    asked_by = models.CharField(max_length=150, blank=True, default="")
    state = models.CharField(max_length=10, choices=RunState.choices, default=RunState.WAITING)
    due_at = models.DateTimeField()  # not begun before
    published_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=200, blank=True, default="")
    is_stoppable = models.BooleanField(default=False)  # lives in a process of its own
    timeout_seconds = models.PositiveIntegerField(default=0)  # of its plan, when it began
    fence = models.CharField(max_length=100, blank=True, default="")
    token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    stop_asked_at = models.DateTimeField(null=True, blank=True)
    stop_reason = models.CharField(max_length=200, blank=True, default="")
    error = models.TextField(blank=True, default="")
    log_size = models.BigIntegerField(default=0)  # characters

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "nominal_at", "shard"], condition=Q(trigger="clock"), name="jobs_one_run_a_fire_time"),
            models.UniqueConstraint(
                fields=["job", "parent_id", "trigger", "shard"], condition=Q(parent_id__isnull=False), name="jobs_one_follow_up"
            ),
        ]
        indexes = [
            models.Index(fields=["job", "-id"], name="jobs_run_newest"),
            models.Index(fields=["state", "-id"], name="jobs_run_state"),
            models.Index(fields=["due_at"], condition=Q(state="waiting"), name="jobs_run_waiting"),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="jobs_run_running"),
            models.Index(fields=["fire_id"], condition=Q(shards__gt=1), name="jobs_run_fire"),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.nominal_at:%Y-%m-%d %H:%M:%S}"


class LogChunk(models.Model):
    """A piece of a run's log; `position` counts the characters before it, so a page of a long log is one look into an index."""

    tenant_lookup = None

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(JobRun, on_delete=models.CASCADE, related_name="log")
    position = models.BigIntegerField()
    text = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="jobs_one_chunk_a_position")]

    def __str__(self) -> str:
        return f"{self.run_id} {self.position}"
