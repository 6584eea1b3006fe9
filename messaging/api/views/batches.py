"""Batches: list, look at, pause, resume, cancel."""

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.scopes import SandboxSafe
from accounts.services.audit import Actor
from messaging import selectors
from messaging.api import schemas
from messaging.api.filters import BatchFilter
from messaging.api.serializers import BatchOut
from messaging.explain import batch as explain
from messaging.models import Batch
from messaging.queueing import operate
from messaging.scopes import MANAGE, READ
from posthaste.lib.pagination import CursorPages

#: What the answer to a change shows to keys that may not read batches.
TOLD = ("id", "status")
ANSWER = readable_or(BatchOut, *TOLD)
_COUNTS = ("cancelled", "too_late", "unknown")
CANCELLED = {
    "type": "object",
    "properties": {**{name: {"type": "integer"} for name in _COUNTS}, "batch": ANSWER},
    "required": [*_COUNTS, "batch"],
}


class BatchView(TenantView):
    """Base: the tenant's batches."""

    queryset = Batch.objects.none()
    serializer_class = BatchOut

    def get_queryset(self) -> "QuerySet[Batch]":
        return selectors.batches(self.tenant_id)

    def is_live(self, row: Batch) -> bool:
        return row.messages.filter(is_sandbox=False).exists()


class BatchCollection(BatchView):
    """`/api/batches/`."""

    scopes = {"GET": READ}
    pagination_class = CursorPages
    filterset_class = BatchFilter

    @extend_schema(
        operation_id="batches_list",
        summary="List batches",
        description="Newest first, with counts by state.",
        responses=BatchOut(many=True),
    )
    def get(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        context = {"counts": selectors.batch_counts(page)}
        return self.get_paginated_response(BatchOut(page, many=True, context=context).data)


class BatchItem(RetrieveModelMixin, BatchView):
    """`/api/batches/{id}/`."""

    scopes = {"GET": READ}

    @extend_schema(
        summary="One batch with its totals", description="`accepted` = `in_progress` + `ended`, exactly; `counts` has every state."
    )
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class BatchProgress(BatchView):
    """`/api/batches/{id}/progress/`."""

    scopes = {"GET": READ}

    @extend_schema(
        summary="How a batch gets on",
        description="Rate, time left, where its messages spend their time, and the reason if it stands still.",
        responses=schemas.BatchProgressOut,
    )
    def get(self, request: Request, id: str) -> Response:
        batch = self.get_object()
        report = explain.report(batch, selectors.batch_counts([batch])[batch.pk], now=timezone.now())
        return Response(
            {
                "batch_id": str(batch.pk),
                "status": batch.status,
                "left": report.pace.left,
                "per_second": report.pace.per_second,
                "left_seconds": report.pace.left_seconds,
                "answer": report.answer.as_dict(),
                "nodes": report.nodes,
            }
        )


class BatchPause(BatchView):
    """`/api/batches/{id}/pause/`."""

    scopes = {"POST": MANAGE}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(summary="Pause a batch", request=None, responses={200: ANSWER})
    def post(self, request: Request, id: str) -> Response:
        batch = self.get_object()
        operate.pause_batch(batch=batch, by=Actor.of_request(request))
        return Response(self.readable(BatchOut(batch).data, scope=READ, always=TOLD))


class BatchResume(BatchView):
    """`/api/batches/{id}/resume/`."""

    scopes = {"POST": MANAGE}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(summary="Resume a paused batch", request=None, responses={200: ANSWER})
    def post(self, request: Request, id: str) -> Response:
        batch = self.get_object()
        operate.resume_batch(batch=batch, by=Actor.of_request(request))
        return Response(self.readable(BatchOut(batch).data, scope=READ, always=TOLD))


class BatchCancel(BatchView):
    """`/api/batches/{id}/cancel/`."""

    scopes = {"POST": MANAGE}
    sandbox_safe = {"POST": SandboxSafe.SANDBOX_ONLY}

    @extend_schema(
        summary="Cancel a batch",
        description="Cancels what has not begun, and says how many that were, how many were too late, and how many are unknown.",
        request=None,
        responses={200: CANCELLED},
    )
    def post(self, request: Request, id: str) -> Response:
        batch = self.get_object()
        result = operate.cancel_batch(batch=batch, by=Actor.of_request(request), now=timezone.now())
        answer = {"cancelled": result.cancelled, "too_late": result.too_late, "unknown": result.unknown}
        return Response({**answer, "batch": self.readable(BatchOut(batch).data, scope=READ, always=TOLD)})
