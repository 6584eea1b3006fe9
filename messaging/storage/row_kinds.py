"""Rows other than messages and batches that are set aside: what becomes of each kind, and who is told.

A row that decides who may do something fails closed: an API key is revoked, and a provider whose limits were lost is disabled. Both
leave an entry in the audit trail with the former values, from which an operator can repair them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q

from accounts import selectors as accounts
from accounts.actions import Action as AccountAction
from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.models import IdempotencyKey, Provider
from messaging.storage import unreadable
from messaging.storage.unreadable import Kind
from posthaste.lib.dates import EARLIEST, LATEST

SYSTEM = Actor.system("set_aside_unreadable")
#: Of a provider: they decide about nothing.
HARMLESS = {"created_at", "updated_at"}


def _revoke(_values: Mapping[str, Any], _broken: Mapping[str, str], now: datetime) -> dict[str, Any]:
    # Without its expiry it would never expire, and without its ranges it could be used from anywhere.
    return {"revoked_at": now}


def _note_key(values: Mapping[str, Any], broken: Mapping[str, str]) -> None:
    detail = {"unreadable": _shown(broken)}
    audit.record(
        by=SYSTEM, action=AccountAction.KEY_REVOKE, target=values.get("prefix", ""), tenant_id=values.get("tenant_id"), detail=detail
    )


def _disable(_values: Mapping[str, Any], broken: Mapping[str, str], now: datetime) -> dict[str, Any]:
    # `updated_at` makes each process load it again.
    return {"updated_at": now} | ({} if set(broken) <= HARMLESS else {"is_enabled": False})


def _note_provider(values: Mapping[str, Any], broken: Mapping[str, str]) -> None:
    detail = {"unreadable": _shown(broken)} | ({} if set(broken) <= HARMLESS else {"is_enabled": False})
    audit.record(by=SYSTEM, action=Action.PROVIDER_CHANGE, target=values.get("id", ""), tenant_id=values.get("tenant_id"), detail=detail)


def _keep_from_repeating(_values: Mapping[str, Any], broken: Mapping[str, str], _now: datetime) -> dict[str, Any]:
    # What the first request made is not known any more: a repeated one is told to use a new key, and nothing is sent twice.
    return {"digest": b""} if set(broken) - {"created_at"} else {}


def _shown(broken: Mapping[str, str]) -> dict[str, str]:
    return {name: text[: unreadable.MAX_SHOWN] for name, text in broken.items()}


API_KEY = Kind(_revoke, _note_key)
PROVIDER = Kind(_disable, _note_provider)
IDEMPOTENCY_KEY = Kind(_keep_from_repeating)


def set_aside_others() -> int:
    """Set aside API keys, providers and idempotency keys that can't be read, and return their number.

    Of idempotency keys those with a time out of range, which would never be forgotten; the others are met when they are looked up.
    """
    forgotten = Q(created_at__gt=LATEST) | Q(created_at__lt=EARLIEST)
    return (
        unreadable.set_aside(accounts.api_keys().order_by(), kind=API_KEY)
        + unreadable.set_aside(Provider.objects.order_by(), kind=PROVIDER)
        + unreadable.set_aside(IdempotencyKey.objects.filter(forgotten).order_by(), kind=IDEMPOTENCY_KEY)
    )
