"""Jobs and their runs: what runs when, how it went, its log; starting, stopping, enabling and disabling."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from accounts.api.base import TenantView, readable_or
from accounts.selectors import no_tenants
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from jobs import selectors
from jobs.api import shapes
from jobs.models import OPEN_STATES, JobRun, Plan, RunState
from jobs.scopes import JOBS_MANAGE, JOBS_READ
from jobs.services import run_log, schedule
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.pagination import CursorPages


class JobView(TenantView):
    """Base: jobs belong to the installation, so the caller's tenant must operate it."""

    queryset = no_tenants()
    serializer_class: type[BaseSerializer[Any]] = shapes.JobOut
    pagination_class = None
    filter_backends = ()

    def plan(self, job_id: int) -> Plan:
        must_operate(self.caller)
        return get_object_or_404(selectors.plan_rows(), pk=job_id)

    def told(self, job_id: int) -> Response:
        """Answer with a job as it is now, as far as the key may read it."""
        row = selectors.job_rows([get_object_or_404(selectors.plan_rows(), pk=job_id)], now=timezone.now())[0]
        return Response(self.readable(shapes.JobOut(shapes.shown(row)).data, scope=JOBS_READ, always=("id", "is_enabled")))


class JobCollection(JobView):
    """`/api/jobs/`."""

    scopes = {"GET": JOBS_READ}

    @extend_schema(
        summary="List jobs", description="By name, with schedule, next fire time and last run.", responses=shapes.JobOut(many=True)
    )
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        rows = selectors.job_rows(selectors.plan_rows(), now=timezone.now())
        return Response(shapes.JobOut([shapes.shown(row) for row in rows], many=True).data)


class OneJob(JobView):
    """`/api/jobs/{id}/`."""

    scopes = {"GET": JOBS_READ}

    @extend_schema(summary="Show a job", responses=shapes.JobOut)
    def get(self, request: Request, id: int) -> Response:
        return self.told(self.plan(id).pk)


class JobEnable(JobView):
    """`/api/jobs/{id}/enable/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(
        summary="Enable a job",
        description="It fires at its next time; nothing is started for the time it was disabled.",
        request=None,
        responses={200: readable_or(shapes.JobOut, "id", "is_enabled")},
    )
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        schedule.enable_jobs(ids=[plan.pk], by=Actor.of_request(request), now=timezone.now())
        return self.told(plan.pk)


class JobDisable(JobView):
    """`/api/jobs/{id}/disable/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(
        summary="Disable a job",
        description="A run in progress goes on.",
        request=None,
        responses={200: readable_or(shapes.JobOut, "id", "is_enabled")},
    )
    def post(self, request: Request, id: int) -> Response:
        plan = self.plan(id)
        schedule.disable_jobs(ids=[plan.pk], by=Actor.of_request(request), now=timezone.now())
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
        made = schedule.run_job(row=plan.job, given=given, by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.RunOut(made, many=True).data, status=201)


class RunFilter(StrictFilterSet):
    """`?state=failed&state=timed_out`."""

    state = django_filters.MultipleChoiceFilter(choices=RunState.choices, distinct=False)

    class Meta:
        model = JobRun
        fields: list[str] = []


class JobRuns(ListModelMixin, TenantView):
    """`/api/jobs/{id}/runs/`."""

    queryset = JobRun.objects.none()
    serializer_class = shapes.RunOut
    scopes = {"GET": JOBS_READ}
    pagination_class = CursorPages
    filterset_class = RunFilter

    def get_queryset(self) -> "QuerySet[JobRun]":
        if "id" not in self.kwargs:  # asked by the API reference
            return JobRun.objects.none()
        return selectors.runs(job_id=self.kwargs["id"])

    @extend_schema(summary="List the runs of a job", description="Newest first.")
    def get(self, request: Request, id: int) -> Response:
        must_operate(self.caller)
        get_object_or_404(selectors.plan_rows(), pk=id)
        return self.list(request)


class RunView(JobView):
    """Base: one run."""

    serializer_class: type[BaseSerializer[Any]] = shapes.RunOut

    def run(self) -> JobRun:
        must_operate(self.caller)
        try:
            return selectors.get_run(self.kwargs["id"])
        except JobRun.DoesNotExist:
            raise Http404 from None


class OneRun(RunView):
    """`/api/jobs/runs/{id}/`."""

    scopes = {"GET": JOBS_READ}

    @extend_schema(summary="Show a run", responses=shapes.RunOut)
    def get(self, request: Request, id: str) -> Response:
        return Response(shapes.RunOut(self.run()).data)


class RunLog(RunView):
    """`/api/jobs/runs/{id}/log/`."""

    scopes = {"GET": JOBS_READ}
    queries = {"GET": shapes.LogQuery}
    serializer_class = shapes.LogOut

    @extend_schema(
        summary="Read a run's log",
        description="By parts; while `is_open`, more may come.",
        parameters=[shapes.LogQuery],
        responses=shapes.LogOut,
    )
    def get(self, request: Request, id: str) -> Response:
        run, asked = self.run(), self.asked()
        page = run_log.read(run.pk, start=asked["start"], size=run.log_size, limit=asked["limit"])
        told = {"text": page.text, "start": page.start, "end": page.end, "size": page.size, "is_open": run.state in OPEN_STATES}
        return Response(shapes.LogOut(told).data)


class RunStop(RunView):
    """`/api/jobs/runs/{id}/stop/`."""

    scopes = {"POST": JOBS_MANAGE}

    @extend_schema(
        summary="Stop a run",
        description="One that waits is over at once. One that runs is ended by its worker within seconds, unless it runs in a thread "
        "(`is_stoppable` false): then its writes are refused from then on.",
        request=None,
        responses={200: readable_or(shapes.RunOut, "id", "state")},
    )
    def post(self, request: Request, id: str) -> Response:
        run = self.run()
        schedule.stop_run(run=run, by=Actor.of_request(request), now=timezone.now())
        told = shapes.RunOut(selectors.get_run(run.pk)).data
        return Response(self.readable(told, scope=JOBS_READ, always=("id", "state")))
