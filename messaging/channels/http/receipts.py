"""Reading the receipts of an HTTP gateway."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from messaging.channels.base import Receipt, ReceiptError
from messaging.channels.http.answers import as_text, find
from messaging.channels.http.config import ReceiptConfig
from posthaste.lib import foreign_json
from posthaste.lib.dates import is_in_range

MAX_RECEIPTS = 10_000


def read_receipts(body: bytes, config: ReceiptConfig) -> list[Receipt | ReceiptError]:
    """Read a callback's body; states that are neither delivered nor failed are passed over.

    A receipt without an id or a status is returned as the error that says so, so that it holds back no other.

    Raises:
        ReceiptError: it is not JSON, or none of its receipts has an id and a status.
    """
    try:
        data = foreign_json.loads(body)
    except ValueError:
        raise ReceiptError(_("The body is not JSON.")) from None
    items = find(data, config.items_path)
    if not isinstance(items, list):
        items = data if isinstance(data, list) else [data]
    if len(items) > MAX_RECEIPTS:
        raise ReceiptError(_("At most {n} receipts per request.").format(n=MAX_RECEIPTS))
    found = [_read_or_say_why(item, config, index) for index, item in enumerate(items)]
    errors = [receipt for receipt in found if isinstance(receipt, ReceiptError)]
    if errors and len(errors) == len(found):
        raise errors[0]
    return [receipt for receipt in found if receipt is not None]


def _read_or_say_why(item: Any, config: ReceiptConfig, index: int) -> Receipt | ReceiptError | None:
    try:
        return _read(item, config, index)
    except ReceiptError as error:
        return error


def _read(item: Any, config: ReceiptConfig, index: int) -> Receipt | None:
    if not isinstance(item, dict):
        raise ReceiptError(_("Receipt {index} is not an object.").format(index=index), index=index)
    status = as_text(find(item, config.status_field))
    if not status:
        raise ReceiptError(_("Receipt {index} has no {field}.").format(index=index, field=config.status_field), index=index)
    ours, theirs = as_text(find(item, config.message_id_field)), as_text(find(item, config.provider_message_id_field))
    if not ours and not theirs:
        text = _("Receipt {index} has neither {field} nor {other}.")
        raise ReceiptError(text.format(index=index, field=config.message_id_field, other=config.provider_message_id_field), index=index)
    message_id = None
    try:
        message_id = UUID(ours) if ours else None
    except ValueError:
        # Another system's message, where the gateway serves several; perhaps the gateway's own id in the wrong field.
        theirs = theirs or ours
    folded = status.casefold()
    if folded in {value.casefold() for value in config.delivered_values}:
        meaning = "delivered"
    elif folded in {value.casefold() for value in config.failed_values}:
        meaning = "failed"
    else:
        return None
    return Receipt(
        meaning,  # type: ignore[arg-type]
        message_id,
        theirs[:200],
        as_text(find(item, config.code_field))[:64],
        as_text(find(item, config.detail_field))[:500],
        _moment(find(item, config.at_field)),
        meaning == "failed" and as_text(find(item, config.bounce_field)).casefold() in {value.casefold() for value in config.hard_values},
        index,
    )


def _moment(value: Any) -> datetime | None:
    """Return the time, or None if it cannot be read: losing it is better than losing the receipt."""
    found = _read_moment(value)
    return found if found is not None and is_in_range(found) else None


def _read_moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            # Above 10**11 (the year 5138 in seconds) it must be milliseconds.
            return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        if isinstance(value, str) and value:
            if re.fullmatch(r"[0-9]{1,13}(\.[0-9]+)?", value):
                return _read_moment(float(value))
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
