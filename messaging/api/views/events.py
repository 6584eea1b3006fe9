"""The stream of events, for those who would rather fetch than be called."""

import threading
from time import monotonic, sleep
from typing import Any

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import BoundedList, TenantView
from accounts.services.audit import Actor
from messaging.api.webhooks import EVENTS, EventsOut
from messaging.scopes import EVENTS_READ
from messaging.webhooks import event_types, events
from posthaste import env
from posthaste.lib.filters import TRUTHS, Query, WholeNumber

MAX_LIMIT, DEFAULT_LIMIT = 1_000, 100
MAX_WAIT_SECONDS = 20
MAX_TYPES = 50
MAX_POSITION = 2**63 - 1
LOOK_EVERY_SECONDS = 0.5
#: A request that waits holds a thread. Those beyond a quarter of the threads are answered at once.
waiting_places = threading.BoundedSemaphore(max(1, env.load().web_threads // 4))


def is_known(pattern: str) -> None:
    """Check that a text names a type of event, a family, or all.

    Raises:
        ValidationError: it names none.
    """
    if not event_types.is_pattern(pattern):
        known = ", ".join(event_types.subscribable())
        raise serializers.ValidationError(
            _("There is no event {name}. Available: {known}.").format(name=pattern[:80], known=known), "unknown"
        )


class EventsQuery(Query):
    """What is asked of the stream."""

    after = WholeNumber(
        min_value=0, max_value=MAX_POSITION, default=0, help_text="`next` of the last answer. 0: from the oldest event that is kept."
    )
    limit = WholeNumber(min_value=1, max_value=MAX_LIMIT, default=DEFAULT_LIMIT)
    type = BoundedList(
        child=serializers.CharField(max_length=60, validators=[is_known]),
        max_length=MAX_TYPES,
        default=list,
        help_text="Only these types, such as `message.failed`, or families, such as `message.*`. May be repeated.",
    )
    is_sandbox = serializers.ChoiceField(
        choices=sorted(TRUTHS), required=False, help_text="Of sandbox messages, or of live ones. Without it: as the key is."
    )
    wait = WholeNumber(
        min_value=0,
        max_value=MAX_WAIT_SECONDS,
        default=0,
        help_text="Seconds to wait for an event if there is none yet. The answer may come earlier without one.",
    )


class EventStream(TenantView):
    """`/api/events/`."""

    scopes = {"GET": EVENTS_READ, "POST": EVENTS_READ}
    queries = {"GET": EventsQuery}
    pagination_class = None
    serializer_class = EventsOut

    @extend_schema(
        summary="Read events",
        description="Oldest first. Recording starts with the first webhook endpoint or `POST` at this address.",
        operation_id="events_read",
        parameters=[EventsQuery],
        examples=[EVENTS],
        responses={
            200: EventsOut,
            (410, "application/problem+json"): OpenApiResponse(
                {"$ref": "#/components/schemas/Problem"},
                description="Some events after `after` are not kept any more. `after` in the answer is the position to go on from.",
            ),
            (409, "application/problem+json"): OpenApiResponse(
                {"$ref": "#/components/schemas/Problem"},
                description="`events_not_recorded`: start with `POST`. `position_ahead`: `after` is beyond the last event; "
                "`after` in the answer is the position of the last one.",
            ),
        },
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        page = self._page(asked)
        if not page.events and asked["wait"] and waiting_places.acquire(blocking=False):
            try:
                page = self._wait(asked | {"after": page.next})
            finally:
                waiting_places.release()
        return Response({"results": page.events, "next": page.next})

    @extend_schema(
        summary="Start the recording of events",
        description="From now on, until they were not read for `webhooks.keep_days`. Nothing changes if they are recorded.",
        operation_id="events_record",
        request=None,
        responses=inline_serializer(
            "EventsRecorded", {"next": serializers.IntegerField(help_text="Pass it as `after`: no event after this position is missing.")}
        ),
    )
    def post(self, request: Request) -> Response:
        by = Actor.of_request(request)
        return Response({"next": events.open_stream(tenant_id=self.tenant_id, by=by, now=timezone.now())})

    def _page(self, asked: dict[str, Any]) -> events.Page:
        truth = asked.get("is_sandbox")
        return events.after(
            tenant_id=self.tenant_id,
            position=asked["after"],
            limit=asked["limit"],
            types=asked["type"],
            is_sandbox=self.caller.is_sandbox if truth is None else TRUTHS[truth],
            now=timezone.now(),
        )

    def _wait(self, asked: dict[str, Any]) -> events.Page:
        """Look again and again until there is an event or the time is up; no connection to the database is held meanwhile."""
        until = monotonic() + asked["wait"]
        while True:
            page = self._page(asked)
            if page.events or monotonic() >= until:
                return page
            if page.next == asked["after"]:  # the end; otherwise the search stopped early
                self._pause(min(LOOK_EVERY_SECONDS, until - monotonic()))
            asked["after"] = page.next

    def _pause(self, seconds: float) -> None:
        if not connection.in_atomic_block:
            connection.close()
        sleep(seconds)
        self.waited_seconds += seconds
