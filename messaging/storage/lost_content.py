"""What a message lost when it was set aside as unreadable: whether it can be sent again as it was meant."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from messaging.models import Message
from messaging.storage.unreadable import CODE

#: What its recipient would miss, or its sender would be told wrongly.
CONTENT = ("recipient", "channel", "template_version_id", "variables", "subject", "body", "metadata")
_JSON = ("variables", "metadata")
_NAMED = re.compile(rf"\b({'|'.join(CONTENT)})\b(?=[:,.])")  # as `unreadable` writes them in `error_detail`


def is_placeholder(value: Any) -> bool:
    """Return whether a JSON value is what `unreadable` keeps in place of one that it could not read."""
    return isinstance(value, dict) and list(value) == [CODE] and isinstance(value[CODE], str)


def of(row: Message) -> list[str]:
    """Return the columns of content that a message has lost; empty unless it was set aside."""
    if row.error_code != CODE:
        return []
    named = set(_NAMED.findall(row.error_detail)) | {name for name in _JSON if is_placeholder(getattr(row, name))}
    return [name for name in CONTENT if name in named]


def among(ids: Iterable[UUID]) -> dict[UUID, Message]:
    """Return those of some messages that were set aside."""
    return Message.objects.filter(pk__in=list(ids), error_code=CODE).order_by().in_bulk()


def clear_placeholders(rows: Iterable[Message]) -> None:
    """Empty the JSON columns that hold only a placeholder, so that it is never sent."""
    for row in rows:
        empty: dict[str, Any] = {name: {} for name in _JSON if is_placeholder(getattr(row, name))}
        if empty:
            Message.objects.filter(pk=row.pk).update(**empty)
