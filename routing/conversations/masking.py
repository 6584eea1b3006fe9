"""Identities made fit for lists and logs."""

from posthaste.lib.masking import mask_email, mask_middle, mask_phone
from routing.models import IdentityKind

MASKS = {IdentityKind.EMAIL: mask_email, IdentityKind.PHONE: mask_phone}


def mask_identity(kind: str, value: str) -> str:
    """Hide most of an identity's value, as its kind is masked elsewhere."""
    return MASKS.get(IdentityKind(kind), mask_middle)(value) if kind in IdentityKind.values else mask_middle(value)


def mask_sender(sender: str) -> str:
    """Hide most of an arrival's sender, which is a kind and a value."""
    kind, _colon, value = sender.partition(":")
    return f"{kind}:{mask_identity(kind, value)}"
