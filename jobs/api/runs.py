"""Runs of jobs: how they went, their logs, and stopping one."""

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
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from jobs import selectors
from jobs.api import shapes
from jobs.api.jobs import JobView
from jobs.models import OPEN_STATES, JobRun, RunState
from jobs.scopes import JOBS_MANAGE, JOBS_READ
from jobs.services import run_log, schedule
from posthaste.lib.filters import StrictFilterSet
from posthaste.lib.pagination import CursorPages


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
        get_object_or_404(selectors.plan_rows(), job__id=id)
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
