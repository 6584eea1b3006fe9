"""Addresses of receivers as pages and notices show them."""

from monitor.alarms.rules import Receiver, ReceiverKind
from posthaste.lib.masking import mask_email, mask_phone


def masked(receiver: Receiver) -> str:
    """Return an address fit to be shown."""
    match receiver.kind:
        case ReceiverKind.EMAIL:
            return mask_email(receiver.address)[:200]
        case ReceiverKind.SMS:
            return mask_phone(receiver.address)[:200]
        case ReceiverKind.WECOM | ReceiverKind.CHAT:
            return f"{receiver.address[:2]}…"
    scheme, _slashes, rest = receiver.address.partition("://")
    return f"{scheme}://{rest.partition('/')[0].partition('?')[0].rpartition('@')[2]}/…"[:200]  # what follows may be a token
