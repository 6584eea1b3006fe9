"""Scheduled jobs and their runs."""

from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from jobs.models import JobRun
from jobs.services import schedule
from tests.architecture.audit_entrances.world import KEY, USER, Event, World, nobodys
from tests.builders import TESTER
from tests.jobs.builders import TASK, make_plan


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


def form_of(w: World, address: str, **changes: str) -> dict[str, str]:
    """Return what a browser would send of the form as it stands, with some fields changed."""
    form = w.staff.get(address).context["form"]
    sent = {name: form[name].value() for name in form.fields}
    sent = {name: "on" if value is True else str(value) for name, value in sent.items() if value is not None and value is not False}
    return sent | changes


def create(w: World) -> None:
    address = f"{reverse('job-new')}?task={TASK}"
    w.post(address, **form_of(w, address, name="audited", kind="cron", cron="0 6 * * *"))


def change(w: World) -> None:
    address = reverse("job-edit", args=[job(w)])
    w.post(address, **form_of(w, address, timeout_seconds="77"))


def made(_w: World) -> object:
    row = PeriodicTask.objects.filter(name="audited").first()
    return row.pk if row else None


JOBS = [
    Event(
        "job.create",
        made,
        ((USER, create), (KEY, lambda w: w.call("POST", "jobs/", {"name": "audited", "task": TASK, "cron": "0 6 * * *"}))),
        tenant=nobodys,
    ),
    Event(
        "job.change",
        job,
        ((USER, change), (KEY, lambda w: w.call("PATCH", f"jobs/{job(w)}/", {"timeout_seconds": 77}))),
        tenant=nobodys,
        before=make,
    ),
    Event(
        "job.delete",
        made,
        ((USER, lambda w: w.page("job", job(w), do="delete", name="audited")), (KEY, lambda w: w.call("DELETE", f"jobs/{job(w)}/"))),
        tenant=nobodys,
        before=make,
    ),
    Event(
        "job.enable",
        job,
        (
            (USER, lambda w: w.page("job", job(w), do="enable")),
            (KEY, lambda w: w.call("POST", f"jobs/{job(w)}/enable/")),
            (KEY, lambda w: w.call("PATCH", f"jobs/{job(w)}/", {"is_enabled": True})),
        ),
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
