"""The types of events: a registry that each app fills in its module `event_types`, which is found automatically.

    CLOSED = declare("parcel.closed", gettext_lazy("a parcel was closed"))

The part before the dot names what the event is about. Those of messages and batches are recorded by triggers of the database (see
`messaging/migrations/0003_events.py`), the others by `messaging.webhooks.events.record`.
"""

import re
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy

EVERYTHING = "*"
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
MAX_CHARACTERS = 60

#: Type → what has happened, as shown to people.
EVENT_TYPES: dict[str, Any] = {}


def declare(name: str, text: Any) -> str:
    """Add a type of event and return its name.

    Raises:
        ValueError: the name is not `subject.happened`, too long, or declared already.
    """
    if not _NAME.fullmatch(name) or len(name) > MAX_CHARACTERS:
        raise ValueError(f"The event type {name!r} must look like subject.happened.")
    if name in EVENT_TYPES:
        raise ValueError(f"The event type {name} is declared twice.")
    EVENT_TYPES[name] = text
    return name


def subscribable() -> list[str]:
    """Return the types that can be asked for: all but the test, which is sent to an endpoint on request whatever it asks for."""
    return [name for name in EVENT_TYPES if name != WEBHOOK_TEST]


def is_pattern(text: str) -> bool:
    """Return whether a text names a type that can be asked for, all types of a subject (`message.*`), or all types (`*`)."""
    if text.endswith(".*"):
        return any(name.startswith(text[:-1]) for name in subscribable())
    return text == EVERYTHING or text in subscribable()


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a type is among those that the patterns name."""
    return any(pattern in (EVERYTHING, name) or (pattern.endswith(".*") and name.startswith(pattern[:-1])) for pattern in patterns)


def is_wanted_kind(endpoint: Any, *, type_: str, channel: str, is_sandbox: bool) -> bool:
    """Return whether an endpoint receives events of a type, from a channel, of real or sandbox messages."""
    if is_sandbox and not endpoint.includes_sandbox:
        return False
    return (not endpoint.channels or channel in endpoint.channels) and matches(type_, endpoint.event_types)


MESSAGE_SENT = declare("message.sent", gettext_lazy("a provider accepted the message"))
MESSAGE_DELIVERED = declare("message.delivered", gettext_lazy("the provider reported that the message arrived"))
MESSAGE_FAILED = declare("message.failed", gettext_lazy("the message failed for good"))
MESSAGE_UNKNOWN = declare("message.unknown", gettext_lazy("the message may have been sent; its outcome is not known"))
MESSAGE_EXPIRED = declare("message.expired", gettext_lazy("the message expired before it was sent"))
MESSAGE_CANCELLED = declare("message.cancelled", gettext_lazy("the message was cancelled"))
MESSAGE_SUPPRESSED = declare("message.suppressed", gettext_lazy("a delivery rule ended the message, such as the suppression list"))
MESSAGE_DEFERRED = declare("message.deferred", gettext_lazy("the message was put off, or will be sent again"))
BATCH_STARTED = declare("batch.started", gettext_lazy("a batch was accepted"))
BATCH_PAUSED = declare("batch.paused", gettext_lazy("a batch was paused"))
BATCH_RESUMED = declare("batch.resumed", gettext_lazy("a batch goes on"))
BATCH_CANCELLED = declare("batch.cancelled", gettext_lazy("a batch was cancelled"))
BATCH_FINISHED = declare("batch.finished", gettext_lazy("no message of the batch is in progress any more"))
WEBHOOK_TEST = declare("webhook.test", gettext_lazy("a test, sent on request"))
