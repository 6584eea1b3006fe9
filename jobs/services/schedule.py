"""What people do with scheduled jobs: make, change, switch, start and delete the rows that the beat process reads.

Each entry of the audit trail is written in the transaction of its change. The platform's own jobs get their schedule back when the beat
process starts; that is its own work and not written down (`jobs.scheduler`).
"""

import json
from collections.abc import Iterable, Sequence

from celery import current_app
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from accounts.services import audit
from accounts.services.audit import Actor
from jobs import registry
from jobs.actions import Action
from jobs.services.first_due import COUNTED_FIELDS, count_anew, counted_from
from posthaste.lib.problems import NotFound


@transaction.atomic
def create_job(*, job: PeriodicTask, by: Actor) -> PeriodicTask:
    """Store a new scheduled job; it counts from now."""
    job.save()
    counted_from(job, now=timezone.now())
    _record(job, Action.JOB_CREATE, by)
    return job


@transaction.atomic
def change_job(*, job: PeriodicTask, fields: Iterable[str], by: Actor) -> PeriodicTask:
    """Store a changed job; `fields` are the names of those that changed."""
    changed = sorted(fields)
    job.save()
    if not COUNTED_FIELDS.isdisjoint(changed):
        count_anew([job.name])
        counted_from(job, now=timezone.now())
    _record(job, Action.JOB_CHANGE, by, fields=changed)
    return job


@transaction.atomic
def delete_job(*, job: PeriodicTask, by: Actor) -> None:
    """Delete a scheduled job. A job that the platform declares comes back when the beat process starts."""
    _record(job, Action.JOB_DELETE, by)
    count_anew([job.name])
    job.delete()


def enable_jobs(*, ids: Sequence[int], by: Actor) -> int:
    """Switch jobs on and return how many were off."""
    return _switch(ids, is_enabled=True, by=by)


def disable_jobs(*, ids: Sequence[int], by: Actor) -> int:
    """Switch jobs off and return how many were on. A run that has started goes on."""
    return _switch(ids, is_enabled=False, by=by)


@transaction.atomic
def _switch(ids: Sequence[int], *, is_enabled: bool, by: Actor) -> int:
    rows = PeriodicTask.objects.filter(pk__in=ids).exclude(enabled=is_enabled)
    found = list(rows.order_by("pk").select_for_update())
    # Without its last run, a job that is switched on again is not started at once for the time it was off.
    changes = {} if is_enabled else {"last_run_at": None}
    PeriodicTask.objects.filter(pk__in=[job.pk for job in found]).update(enabled=is_enabled, **changes)
    count_anew([job.name for job in found])
    if is_enabled:
        for job in found:
            counted_from(job, now=timezone.now())
    PeriodicTasks.update_changed()
    for job in found:
        _record(job, Action.JOB_ENABLE if is_enabled else Action.JOB_DISABLE, by)
    return len(found)


def run_jobs(*, ids: Sequence[int], by: Actor) -> int:
    """Publish one run of each job now, also of one that is switched off, and return their number.

    Raises:
        NotFound: this installation has no job of that name; none is started.
    """
    found = list(PeriodicTask.objects.filter(pk__in=ids).order_by("pk"))
    for job in found:
        if registry.find(job.task) is None:
            raise NotFound(_("This installation has no job {name}.").format(name=job.task))
    for job in found:
        # The run is published last, so that there is no entry for one that the broker refused.
        with transaction.atomic():
            _record(job, Action.JOB_RUN, by)
            current_app.tasks[job.task].apply_async(
                args=json.loads(job.args),
                kwargs=json.loads(job.kwargs),
                headers={"periodic_task_name": job.name},
                **({"queue": job.queue} if job.queue else {}),
            )
    return len(found)


def _record(job: PeriodicTask, action: Action, by: Actor, **detail: object) -> None:
    audit.record(by=by, action=action, target=job.pk, detail={"name": job.name, **detail})


def why_never(when: CrontabSchedule | IntervalSchedule) -> str:
    """Say why a schedule never comes round, or nothing where it does."""
    try:
        found = when.schedule
    except OverflowError:
        return _("At most {n} days are possible.").format(n=registry.MAX_INTERVAL.days)
    except ValueError:
        return _("This never comes round: none of these months has such a day.")
    if isinstance(when, IntervalSchedule) and found.run_every > registry.MAX_INTERVAL:
        return _("At most {n} days are possible.").format(n=registry.MAX_INTERVAL.days)
    return ""
