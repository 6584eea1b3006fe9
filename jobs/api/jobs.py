"""Jobs: what runs when; making, changing, switching and deleting them, and starting a run."""

from dataclasses import replace
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.api.base import TenantView, readable_or
from accounts.selectors import no_tenants
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from jobs import registry, selectors
from jobs.api import shapes
from jobs.models import Plan
from jobs.scopes import JOBS_MANAGE, JOBS_READ
from jobs.services import drafts, schedule
from posthaste.lib.problems import Invalid

#: What the answer to a change shows to keys that may not read jobs.
TOLD = ("id", "is_enabled")
ANSWER = readable_or(shapes.JobOut, *TOLD)


class JobView(TenantView):
    """Base: jobs belong to the installation, so the caller's tenant must operate it."""

    queryset = no_tenants()
    serializer_class: type[BaseSerializer[Any]] = shapes.JobOut
    pagination_class = None
    filter_backends = ()

    @property
    def by(self) -> Actor:
        """The caller, as the audit trail names them."""
        return Actor.of_request(self.request)

    def plan(self, job_id: int) -> Plan:
        """Return a job for callers that operate the installation."""
        must_operate(self.caller)
        return get_object_or_404(selectors.plan_rows(), job__id=job_id)

    def told(self, job_id: int, *, status: int = 200) -> Response:
        """Answer with a job as it is now, as far as the key may read it."""
        row = selectors.job_rows([get_object_or_404(selectors.plan_rows(), job__id=job_id)], now=timezone.now())[0]
        return Response(self.readable(shapes.JobOut(shapes.shown(row)).data, scope=JOBS_READ, always=TOLD), status=status)


class JobCollection(JobView):
    """`/api/jobs/`."""

    scopes = {"GET": JOBS_READ, "POST": JOBS_MANAGE}

    @extend_schema(
        summary="List jobs", description="By name, with schedule, next fire time and last run.", responses=shapes.JobOut(many=True)
    )
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        rows = selectors.job_rows(selectors.plan_rows(), now=timezone.now())
        return Response(shapes.JobOut([shapes.shown(row) for row in rows], many=True).data)

    @extend_schema(
        summary="Create a job",
        description="Another schedule of a function that is registered as a job: `task` that of any job in the list. Give one of `cron`, "
        "`every_seconds` and `at`. Limits that are left out are those of the function's own declaration. It counts from now.",
        request=shapes.JobIn,
        responses={201: ANSWER},
        examples=[shapes.NEW_JOB],
    )
    def post(self, request: Request) -> Response:
        must_operate(self.caller)
        values = self.validated(shapes.JobIn)
        if registry.find(values["task"]) is None:
            raise Invalid.field("task", _("This installation has no job {name}.").format(name=values["task"]))
        shapes.must_say_when(values)
        draft = drafts.draft_for(values["task"])
        made = shapes.stored(values, lambda changes: schedule.create_job(draft=replace(draft, **changes), by=self.by, now=timezone.now()))
        return self.told(made.pk, status=201)


class OneJob(JobView):
    """`/api/jobs/{id}/`."""

    scopes = {"GET": JOBS_READ, "PATCH": JOBS_MANAGE, "DELETE": JOBS_MANAGE}

    @extend_schema(summary="Show a job", responses=shapes.JobOut)
    def get(self, request: Request, id: int) -> Response:
        return self.told(self.plan(id).pk)

    @extend_schema(
        summary="Change a job",
        description="What is left out stays. Another schedule counts from now: nothing is made up for. The platform's own jobs keep what "
        "was changed until they are reset.",
        request=shapes.JobChange,
        responses={200: ANSWER},
    )
    def patch(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        draft = drafts.draft_of(plan)
        values = self.validated(shapes.JobChange, partial=True)
        shapes.stored(
            values, lambda changes: schedule.change_job(row=plan.job, draft=replace(draft, **changes), by=self.by, now=timezone.now())
        )
        return self.told(plan.pk)

    @extend_schema(
        summary="Delete a job",
        description="With its runs and their logs; one in progress is ended. 409 for the platform's own jobs: disable them instead.",
        request=None,
        responses={204: None},
    )
    def delete(self, request: Request, id: int) -> Response:
        schedule.delete_job(row=self.plan(id).job, by=self.by)
        return Response(status=204)


class JobReset(JobView):
    """`/api/jobs/{id}/reset/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(
        summary="Reset a job to its default",
        description="Gives one of the platform's own jobs its declared schedule and limits again. 404 for a job that was created.",
        request=None,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        schedule.reset_job(row=plan.job, by=self.by, now=timezone.now())
        return self.told(plan.pk)


class JobEnable(JobView):
    """`/api/jobs/{id}/enable/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(
        summary="Enable a job",
        description="It fires at its next time; nothing is started for the time it was disabled.",
        request=None,
        responses={200: ANSWER},
    )
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        schedule.enable_jobs(ids=[plan.pk], by=self.by, now=timezone.now())
        return self.told(plan.pk)


class JobDisable(JobView):
    """`/api/jobs/{id}/disable/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(summary="Disable a job", description="A run in progress goes on.", request=None, responses={200: ANSWER})
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        schedule.disable_jobs(ids=[plan.pk], by=self.by, now=timezone.now())
        return self.told(plan.pk)


class JobStart(JobView):
    """`/api/jobs/{id}/run/`."""

    scopes = {"POST": JOBS_MANAGE}
    serializer_class = shapes.RunOut

    @extend_schema(
        summary="Start a run",
        description="At once, also of a job that is disabled. The answer lists it, or one run for each shard.",
        request=shapes.RunIn,
        responses={201: shapes.RunOut(many=True)},
    )
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        given = self.validated(shapes.RunIn).get("parameters")
        try:
            made = schedule.run_job(row=plan.job, given=given, by=self.by, now=timezone.now())
        except Invalid as problem:
            raise shapes.as_sent(problem) from None
        return Response(shapes.RunOut(made, many=True).data, status=201)
