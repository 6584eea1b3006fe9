"""Webhook endpoints and their delivery log."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.services.audit import Actor
from messaging import selectors
from messaging.api import webhooks as shapes
from messaging.api.filters import DeliveryFilter, WebhookFilter
from messaging.models import WebhookDelivery, WebhookEndpoint
from messaging.scopes import WEBHOOKS_MANAGE, WEBHOOKS_READ
from messaging.webhooks import deliveries, endpoints, replays
from messaging.webhooks.replays import Range
from posthaste.lib.pagination import CursorPages

#: What the answer to a change shows to keys that may not read endpoints.
TOLD = ("id", "is_enabled")
SECRET = ("secret", "previous_secret_until")
ANSWER = {200: readable_or(shapes.WebhookOut, *TOLD)}


class WebhookView(TenantView):
    """Base: the tenant's endpoints."""

    queryset = WebhookEndpoint.objects.none()
    serializer_class = shapes.WebhookOut

    def get_queryset(self) -> "QuerySet[WebhookEndpoint]":
        return selectors.webhook_endpoints(self.tenant_id)

    def checked(self, endpoint: WebhookEndpoint, *, partial: bool = False) -> dict[str, Any]:
        """Check the body of a new or changed endpoint and return its values.

        Raises:
            ValidationError: naming each wrong field: those of a wrong form together with those that the service refuses.
        """
        try:
            return self.validated(shapes.WebhookIn, partial=partial)
        except ValidationError as error:
            found, data = error.detail, self.request.data
            if not isinstance(found, dict) or not isinstance(data, dict):
                raise
            good = [name for name in endpoints.EDITABLE if name in data and name not in found]
            for name in good:
                setattr(endpoint, name, data[name])
            more = {
                wrong["field"]: [ErrorDetail(wrong["message"], wrong["code"])]
                for wrong in endpoints.faults(endpoint)
                if wrong["field"] in good
            }
            raise ValidationError({**found, **more}) from None


class WebhookCollection(ListModelMixin, WebhookView):
    """`/api/webhooks/`."""

    scopes = {"GET": WEBHOOKS_READ, "POST": WEBHOOKS_MANAGE}
    pagination_class = CursorPages
    filterset_class = WebhookFilter

    @extend_schema(summary="List webhook endpoints", description="Newest first; secrets are masked.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Add a webhook endpoint",
        description="It gets the events from now on. `secret` is shown in this answer only.",
        request=shapes.WebhookIn,
        responses={201: shapes.WebhookSecretOut},
        examples=[shapes.NEW_ENDPOINT],
    )
    def post(self, request: Request) -> Response:
        values = self.checked(WebhookEndpoint(tenant_id=self.tenant_id))
        endpoint = WebhookEndpoint(tenant_id=self.tenant_id, **values)
        endpoints.create(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.WebhookSecretOut(endpoint).data, status=201)


class WebhookItem(RetrieveModelMixin, WebhookView):
    """`/api/webhooks/{id}/`."""

    scopes = {"GET": WEBHOOKS_READ, "PATCH": WEBHOOKS_MANAGE, "DELETE": WEBHOOKS_MANAGE}

    @extend_schema(summary="One webhook endpoint")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change a webhook endpoint",
        description="Holds for the next request that is made.",
        request=shapes.WebhookIn,
        responses=ANSWER,
    )
    def patch(self, request: Request, id: str) -> Response:
        endpoint = self.get_object()
        values = self.checked(endpoint, partial=True)
        to_enabled = values.pop("is_enabled", None)
        by, now = Actor.of_request(request), timezone.now()
        for name, value in values.items():
            setattr(endpoint, name, value)
        if values:
            endpoints.update(endpoint=endpoint, fields=values, by=by, now=now)
        if to_enabled is not None:
            switch = endpoints.enable if to_enabled else endpoints.disable
            switch(endpoint=endpoint, by=by, now=now)
        return Response(self.readable(shapes.WebhookOut(endpoint).data, scope=WEBHOOKS_READ, always=TOLD))

    @extend_schema(summary="Remove a webhook endpoint", description="With its delivery log.", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        endpoints.delete(endpoint=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class WebhookRotate(WebhookView):
    """`/api/webhooks/{id}/rotate-secret/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(
        summary="Make a new secret",
        description="`secret` is shown in this answer only. Until `previous_secret_until` requests carry a signature of each secret. "
        "409 while an earlier secret is still valid, unless `keep_old_for_seconds` is 0, which ends both.",
        request=shapes.RotateIn,
        examples=[OpenApiExample("Keep the old secret for an hour", {"keep_old_for_seconds": 3600}, request_only=True)],
        responses={200: readable_or(shapes.WebhookSecretOut, *TOLD, *SECRET)},
    )
    def post(self, request: Request, id: str) -> Response:
        endpoint = self.get_object()
        keep_for = timedelta(seconds=self.validated(shapes.RotateIn)["keep_old_for_seconds"])
        endpoints.rotate_secret(endpoint=endpoint, keep_old_for=keep_for, by=Actor.of_request(request), now=timezone.now())
        shown = shapes.WebhookSecretOut(endpoint).data
        return Response(self.readable(shown, scope=WEBHOOKS_READ, always=(*TOLD, *SECRET)))


class WebhookTest(WebhookView):
    """`/api/webhooks/{id}/test/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(
        summary="Send a test event",
        description="At once, also to a disabled endpoint; answers what the receiver said. 429 while too many calls wait for an answer.",
        request=None,
        responses=shapes.WebhookTestOut,
    )
    def post(self, request: Request, id: str) -> Response:
        result = endpoints.send_test(endpoint=self.get_object(), by=Actor.of_request(request), now=timezone.now())
        self.waited_seconds = result.duration_ms / 1000
        return Response(shapes.WebhookTestOut(result).data)


class WebhookEnable(WebhookView):
    """`/api/webhooks/{id}/enable/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(
        summary="Enable a webhook endpoint",
        description="It goes on with the events that it missed, as far as they are kept. A failing endpoint is tried now.",
        request=None,
        responses=ANSWER,
    )
    def post(self, request: Request, id: str) -> Response:
        endpoint = self.get_object()
        endpoints.enable(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(shapes.WebhookOut(endpoint).data, scope=WEBHOOKS_READ, always=TOLD))


class WebhookDisable(WebhookView):
    """`/api/webhooks/{id}/disable/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(summary="Disable a webhook endpoint", request=None, responses=ANSWER)
    def post(self, request: Request, id: str) -> Response:
        endpoint = self.get_object()
        endpoints.disable(endpoint=endpoint, by=Actor.of_request(request), now=timezone.now())
        return Response(self.readable(shapes.WebhookOut(endpoint).data, scope=WEBHOOKS_READ, always=TOLD))


class WebhookReplay(WebhookView):
    """`/api/webhooks/{id}/replay/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(
        summary="Send deliveries of a range again",
        description="Each delivery of the range that did not arrive, oldest first and with a new `webhook-id`, as *Send the events of a "
        "delivery again* does. It stops at the first that fails, and after 100 requests, 1,000 events or 20 seconds; `is_whole` is then "
        "false, and the same call goes on with the rest. What has arrived since, and what Posthaste is still trying, is left out.",
        request=shapes.ReplayIn,
        examples=[
            OpenApiExample("After an outage", {"since": "2026-11-29T07:00:00Z", "until": "2026-11-29T09:00:00Z"}, request_only=True),
            OpenApiExample(
                "Events that were lost after they arrived",
                {"from_event": "evt_48213", "until_event": "evt_48377", "status": ["delivered"]},
                request_only=True,
            ),
        ],
        responses=shapes.ReplayedOut,
    )
    def post(self, request: Request, id: str) -> Response:
        endpoint = self.get_object()
        values = self.validated(shapes.ReplayIn)
        first, last = (int(values[name].removeprefix("evt_")) if name in values else None for name in ("from_event", "until_event"))
        chosen = Range(values.get("since"), values.get("until"), first, last)
        made = replays.replay_range(
            endpoint=endpoint, chosen=chosen, statuses=values["status"], by=Actor.of_request(request), now=timezone.now()
        )
        self.waited_seconds = sum(entry.duration_ms or 0 for entry in made.entries) / 1000
        return Response(shapes.ReplayedOut(made).data)


class WebhookDeliveries(ListModelMixin, TenantView):
    """`/api/webhooks/{id}/deliveries/`."""

    scopes = {"GET": WEBHOOKS_READ}
    queryset = WebhookDelivery.objects.none()
    serializer_class = shapes.DeliveryOut
    pagination_class = CursorPages
    filterset_class = DeliveryFilter

    def get_queryset(self) -> "QuerySet[WebhookDelivery]":
        endpoint = get_object_or_404(selectors.webhook_endpoints(self.tenant_id), pk=self.kwargs["id"])
        return selectors.webhook_deliveries(endpoint)

    @extend_schema(summary="List deliveries", description="Each request to the endpoint with its outcome, newest first.")
    def get(self, request: Request, id: str) -> Response:
        return self.list(request)


class DeliveryReplay(WebhookView):
    """`/api/webhooks/{id}/deliveries/{delivery}/replay/`."""

    scopes = {"POST": WEBHOOKS_MANAGE}

    @extend_schema(
        summary="Send the events of a delivery again",
        description="At once, in one request with a new `webhook-id`; answers the new entry of the log. 409 if it was a test, or if its "
        "events are not kept any more.",
        request=None,
        responses={201: shapes.DeliveryOut},
    )
    def post(self, request: Request, id: str, delivery: str) -> Response:
        endpoint = self.get_object()
        original = get_object_or_404(selectors.webhook_deliveries(endpoint), pk=delivery)
        made = deliveries.replay(endpoint=endpoint, delivery=original, by=Actor.of_request(request), now=timezone.now())
        self.waited_seconds = (made.duration_ms or 0) / 1000
        return Response(shapes.DeliveryOut(made).data, status=201)
