"""What happened to the breakers that a message met, while it was on its way."""

from typing import Any

from messaging.explain import facts
from messaging.models import Message
from messaging.providers import breaker_states
from messaging.providers.breakers import of_host, of_provider
from posthaste.lib import redis
from tracing.labels import EventKind
from tracing.services.record import offset_ms
from tracing.traces import Trace

MAX_BREAKERS = 5


def met_by(message: Message, trace: Trace) -> list[dict[str, Any]]:
    """Return the moves of the breakers that the trace names, between acceptance and end, as events; none if Redis is away."""
    names = list(dict.fromkeys(filter(None, map(_named, trace.recorded))))[:MAX_BREAKERS]
    found = []
    for whose in names:
        provider = facts.provider_named(message, whose)
        name = of_provider(provider.pk) if provider else of_host(whose)
        try:
            history = breaker_states.history(name)
        except redis.Unavailable:
            return []
        for move in history:
            at, until = move["at"], trace.times.ended_at
            if at is not None and at >= message.created_at and (until is None or at <= until):
                found.append(
                    {
                        "at": at,
                        "offset_ms": offset_ms(message.pk, at),
                        "event": EventKind.BREAKER.value,
                        "provider": whose,
                        "move": move["event"],
                        "release": move["configuration_version"],
                        "code": move["reason_code"],
                    }
                )
    return found


def _named(event: Any) -> str:
    words = event.words
    if event.code == "X" and len(words) > 1 and words[1].startswith("breaker:"):
        return str(words[1].removeprefix("breaker:").rpartition("@")[0])
    if event.code == "M" and len(words) > 2 and words[2].startswith("breaker"):
        return str(words[0])
    return ""
