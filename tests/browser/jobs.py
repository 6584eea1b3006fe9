"""The pages of jobs, each with something to show."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from jobs.models import JobRun, Plan, RunState, Trigger
from jobs.services import plans
from jobs.services.run_log import Writer
from tests.browser.scene import Scene
from tests.jobs.builders import make_plan


def job_pages(_scene: Scene) -> dict[str, str]:
    """Make jobs with runs, and return the addresses of their pages by name."""
    now = timezone.now()
    plans.declare_all(now=now)
    plan = make_plan(
        "tidy up", task="configcenter.forget_old_releases", cron="30 4 * * 1-5", time_zone="Europe/Paris", calendar="FR", retries=2
    )
    fields = {"job": plan.job, "task": plan.job.task, "due_at": now, "published_at": now, "worker": "host:4711"}
    runs = {}
    for number, state in enumerate(RunState):
        started = now - timedelta(hours=number)
        runs[state] = JobRun.objects.create(
            nominal_at=started,
            trigger=Trigger.HAND if number % 2 else Trigger.RETRY,
            state=state,
            started_at=started,
            ended_at=None if state in (RunState.WAITING, RunState.RUNNING) else started + timedelta(seconds=3 * number),
            error="ValueError: boom" if state == RunState.FAILED else "timed_out" if state == RunState.TIMED_OUT else "",
            lease_until=now + timedelta(hours=1),
            parameters={"keep_days": 7},
            **fields,
        )
    writer = Writer(runs[RunState.FAILED].pk)
    writer.write("".join(f"2026-11-29T10:00:00Z [info] removed {number} releases\n" for number in range(4_000)))
    writer.flush()
    frequent = Plan.objects.get(job__name="feed")
    return {
        "jobs": reverse("jobs"),
        "no job": reverse("jobs") + "?q=nothing",
        "job": reverse("job", args=[plan.pk]),
        "frequent job": reverse("job", args=[frequent.pk]),
        "new job": reverse("job-new"),
        "new job, schedule": reverse("job-new") + "?task=jobs.remove_old_runs",
        "edit job": reverse("job-edit", args=[plan.pk]),
        "run job once": reverse("job-run-once", args=[plan.pk]),
        "failed run": reverse("job-run", args=[runs[RunState.FAILED].pk]),
        "running run": reverse("job-run", args=[runs[RunState.RUNNING].pk]),
    }
