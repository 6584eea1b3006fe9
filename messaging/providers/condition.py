"""How providers are, beyond their breakers: credentials refused or about to expire, certificates of their servers, missing receipts."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from time import time as unix_time
from typing import Any
from uuid import UUID

from messaging.models import Message, Provider, ReceiptEntry, Status
from messaging.providers.breakers import PROVIDER, host_and_tenant
from posthaste.lib import credential_expiry, redis
from posthaste.lib.crypto import is_lost
from posthaste.lib.ids import first_id_at

REFUSED = "provider_auth"  # the code of an error that says so
REFUSED_SECONDS = 600
#: Whose credentials are looked at, of those that are enabled.
MAX_PROVIDERS = 1_000
#: Receipts are waited for so long, and messages older than that are looked at.
RECEIPT_MINUTES, OLDEST_MINUTES = 10, 70
#: Of the messages of that hour, so many are looked at, the newest.
SAMPLE = 2_000
#: Of a provider's messages; fewer say nothing.
ENOUGH = 20


def _refused_key() -> str:
    return redis.key("providers", "refused")


def _certificates_key() -> str:
    return redis.key("providers", "certificates")


def _names(ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the names of enabled providers; where two tenants use one name, the tenant's is added."""
    found = list(Provider.objects.filter(pk__in=ids, is_enabled=True).values_list("pk", "name", "tenant__slug"))
    often = Counter(name for _id, name, _tenant in found)
    return {id_: name if often[name] == 1 else f"{name} ({tenant})" for id_, name, tenant in found}


def titles(names: Iterable[str]) -> list[str]:
    """Return how pages call breakers: the provider's name, or the webhook's host."""
    listed = list(names)
    ids = {name: id_ for name in listed if name.startswith(PROVIDER) and (id_ := _id_of(name.removeprefix(PROVIDER)))}
    by_id = _names([*ids.values()])
    shown = (by_id.get(ids[name]) if name in ids else host_and_tenant(name)[0] for name in listed)
    return [title for title in shown if title]  # a provider that was disabled or deleted since is left out


def _id_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- credentials ----------------------------------------------------------------------------------------------


def note_refused(pipeline: Any, provider_ids: Collection[UUID]) -> None:
    """Note in the caller's pipeline that providers refused our credentials just now."""
    if provider_ids:
        pipeline.hset(_refused_key(), mapping={str(provider_id): int(unix_time()) for provider_id in provider_ids})


def refusing() -> list[str]:
    """Return the names of the enabled providers that refused our credentials within the last ten minutes.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    client = redis.client()
    noted: Any = client.hgetall(_refused_key())
    old = [provider_id for provider_id, at in noted.items() if unix_time() - int(at) > REFUSED_SECONDS]
    if old:
        client.hdel(_refused_key(), *old)
    ids = {id_ for provider_id in noted if provider_id not in old and (id_ := _id_of(provider_id.decode()))}
    return sorted(_names(ids).values()) if ids else []


def forget_refusal(provider_id: UUID) -> None:
    """Forget that a provider refused our credentials: they may be others by now. While Redis is away, the note just becomes old."""
    with suppress(redis.Unavailable):
        redis.client().hdel(_refused_key(), str(provider_id))


def credential_days(*, now: datetime) -> dict[str, float]:
    """Return how many days the credentials of enabled providers are still valid, by the provider's name, where that is known.

    It is known from the date in the configuration, and from certificates and JSON Web Tokens in it; the earliest counts.
    """
    rows = Provider.objects.filter(is_enabled=True).only("pk", "config").order_by("pk")[:MAX_PROVIDERS]
    found = {row.pk: at for row in rows if not is_lost(row, "config") and (at := _expiry(row.config))}
    return {name: round((found[id_] - now).total_seconds() / 86_400, 1) for id_, name in _names([*found]).items()} if found else {}


def _expiry(config: Mapping[str, Any]) -> datetime | None:
    told = [at for at in (_end_of(config.get("credential_expires_on")), credential_expiry.earliest(config)) if at]
    return min(told, default=None)


def _end_of(day: Any) -> datetime | None:
    """Return when the last day of a credential ends; providers rarely say in which time zone."""
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time.min, UTC) if day else None
    except (TypeError, ValueError, OverflowError):
        return None


# --- certificates ---------------------------------------------------------------------------------------------


def note_certificates(expire_at: Mapping[UUID, datetime]) -> None:
    """Replace what is known of the providers' certificates.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    pipeline = redis.client().pipeline()
    pipeline.delete(_certificates_key())
    if expire_at:
        pipeline.hset(_certificates_key(), mapping={str(provider_id): int(at.timestamp()) for provider_id, at in expire_at.items()})
    pipeline.execute()


def certificate_days(*, now: datetime) -> dict[str, float]:
    """Return how many days the certificates of providers' servers are still valid, by the provider's name.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    noted: Any = redis.client().hgetall(_certificates_key())
    by_id = {id_: int(at) for provider_id, at in noted.items() if (id_ := _id_of(provider_id.decode()))}
    names = _names([*by_id]) if by_id else {}
    return {name: round((by_id[id_] - now.timestamp()) / 86_400, 1) for id_, name in names.items()}


# --- receipts -------------------------------------------------------------------------------------------------


def receipts_missing(*, now: datetime) -> dict[str, float]:
    """Return for providers how many per cent of what they took 10 to 70 minutes ago has no receipt, by the provider's name.

    Only providers that sent receipts within the last week, and took `ENOUGH` messages of the sample.
    """
    first, last = (first_id_at(now - timedelta(minutes=minutes)) for minutes in (OLDEST_MINUTES, RECEIPT_MINUTES))
    rows = Message.objects.filter(pk__gte=first, pk__lt=last).order_by("-pk").values_list("provider_id", "status", "sent_at")[:SAMPLE]
    latest = now - timedelta(minutes=RECEIPT_MINUTES)
    taken = [(provider_id, status) for provider_id, status, sent_at in rows if provider_id and sent_at and sent_at < latest]
    sent = Counter(provider_id for provider_id, _status in taken)
    missing = Counter(provider_id for provider_id, status in taken if status == Status.SENT)
    week = first_id_at(now - timedelta(days=7))
    judged = [
        provider_id
        for provider_id, number in sent.items()
        if number >= ENOUGH and ReceiptEntry.objects.filter(provider_id=provider_id, pk__gte=week).exists()
    ]
    return {name: round(100.0 * missing[id_] / sent[id_], 1) for id_, name in _names(judged).items()} if judged else {}
