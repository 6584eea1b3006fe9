"""What calls at an entrance is checked, read and written before it is answered.

Nothing here waits for another system: WeCom sends a callback again that is not answered within five seconds, and the work would be done
twice. What has to be asked for is noted (`want`) or added when the arrival is processed (`enrich`).
"""

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from messaging.configuration.flow import Resource
from posthaste.lib.flow import gate
from posthaste.lib.problems import NotFound
from routing.contract import Answer, InboundRequest
from routing.conversations import arrivals
from routing.entrances import registry
from routing.models import Entrance


def receive(entrance_id: UUID, request: InboundRequest, *, callers: Mapping[str, str]) -> Answer:
    """Take in a request of the outside world, and return the answer to it. `callers`: what it is counted by, as `{"ip": …}`.

    Raises:
        NotFound: there is no such entrance, or it is disabled.
        NotAuthentic: the request is not from whose entrance it is.
        Invalid: it can't be read; nothing is stored.
        TooMany: a limit is reached.
    """
    entrance = Entrance.objects.select_related("tenant").filter(pk=entrance_id, is_enabled=True, tenant__is_active=True).first()
    kind = registry.KINDS.get(entrance.kind) if entrance else None
    if entrance is None or kind is None:
        raise NotFound
    passed = gate.ask(Resource.CALLBACK, {**callers, "tenant": entrance.tenant.slug})
    try:
        row = registry.row_of(entrance)
        kind.adapter.verify(row, request)
        parsed = kind.adapter.parse(row, request)
        if request.method == "GET":  # asks only whether this is the right address
            return parsed.answer
        with transaction.atomic():
            if parsed.incoming:
                incoming = kind.place(row, parsed.incoming) if kind.place else parsed.incoming
                arrivals.store(entrance.pk, incoming, tenant_id=entrance.tenant_id, now=request.received_at)
            if parsed.wanted and kind.want:
                kind.want(row, parsed.wanted, request.received_at)
        return parsed.answer
    finally:
        gate.leave(passed)
