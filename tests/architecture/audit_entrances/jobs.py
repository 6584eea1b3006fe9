"""Scheduled jobs and their runs."""

from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.models import JobRun
from jobs.services import schedule
from tests.architecture.audit_entrances.world import KEY, USER, Event, World, nobodys
from tests.builders import TESTER
from tests.jobs.builders import make_plan


def make_disabled(_w: World) -> None:
    plan = make_plan("audited")
    PeriodicTask.objects.filter(pk=plan.pk).update(enabled=False)


def make(_w: World) -> None:
    make_plan("audited")


def make_run(_w: World) -> None:
    schedule.run_job(row=make_plan("audited").job, by=TESTER, now=timezone.now())


def job(_w: World) -> int:
    return int(PeriodicTask.objects.get(name="audited").pk)


def run(_w: World) -> object:
    return JobRun.objects.get().pk


JOBS = [
    Event(
        "job.enable",
        job,
        ((USER, lambda w: w.page("job", job(w), do="enable")), (KEY, lambda w: w.call("POST", f"jobs/{job(w)}/enable/"))),
        tenant=nobodys,
        before=make_disabled,
    ),
    Event(
        "job.disable",
        job,
        ((USER, lambda w: w.page("job", job(w), do="disable")), (KEY, lambda w: w.call("POST", f"jobs/{job(w)}/disable/"))),
        tenant=nobodys,
        before=make,
    ),
    Event(
        "job.run",
        job,
        ((USER, lambda w: w.page("job-run-once", job(w))), (KEY, lambda w: w.call("POST", f"jobs/{job(w)}/run/"))),
        tenant=nobodys,
        before=make,
    ),
    Event(
        "job.stop",
        run,
        ((USER, lambda w: w.page("job-run", run(w))), (KEY, lambda w: w.call("POST", f"jobs/runs/{run(w)}/stop/"))),
        tenant=nobodys,
        before=make_run,
    ),
]
