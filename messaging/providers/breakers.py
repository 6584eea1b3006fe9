"""Which breakers there are, by which rules they open, and what counts against a provider or a host.

One for each provider, one for each host that messages of the channel webhook go to, and one for each tenant's endpoints at a host.
Rules: `circuit_breakers` of the configuration.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.configuration import circuit_breakers
from messaging.configuration.breakers import BreakerRule
from messaging.models import Provider
from posthaste.lib.breaker import Phase, Recording, Rule, Tally, breakers

PROVIDER, WEBHOOK = "provider:", "webhook:"
BUSY = "rate_limited"  # every adapter's word for "too much, come later"


def of_provider(provider_id: UUID) -> str:
    """Return the name of a provider's breaker."""
    return f"{PROVIDER}{provider_id}"


def of_host(host: str) -> str:
    """Return the name of a webhook host's breaker."""
    return f"{WEBHOOK}{host}"


def of_endpoints(host: str, tenant_id: int) -> str:
    """Return the name of the breaker of a tenant's webhook endpoints at a host: those of other tenants there have their own."""
    return f"{WEBHOOK}{host}@{tenant_id}"


def host_and_tenant(name: str) -> tuple[str, int | None]:
    """Return the host of a breaker, and the tenant if it is that of its endpoints."""
    host, _at, tenant = name.removeprefix(WEBHOOK).rpartition("@")
    return (host, int(tenant)) if host and tenant.isascii() and tenant.isdecimal() else (name.removeprefix(WEBHOOK), None)


def _configured(name: str) -> BreakerRule:
    rules = circuit_breakers.value
    return rules.webhooks if name.startswith(WEBHOOK) else rules.providers


def counts_calls(name: str) -> bool:
    """Return whether what calls give is counted."""
    return _configured(name).is_enabled


def phase(name: str) -> Phase:
    """Return whether calls may be made; a breaker that is switched off is open only while an operator holds it open."""
    found = breakers.phase(name)
    if found == Phase.CLOSED or counts_calls(name) or breakers.is_forced(name):
        return found
    by_receipts = not name.startswith(WEBHOOK) and circuit_breakers.value.receipts.is_enabled
    return found if by_receipts and breakers.state(name).why in ("receipts", "trial") else Phase.CLOSED


def rule(name: str) -> Rule:
    """Return the rule in force for a breaker."""
    found, receipts = _configured(name), circuit_breakers.value.receipts
    return Rule(
        window_seconds=found.window_seconds,
        min_requests=found.min_requests,
        slow_percent=found.slow_percent,
        error_percent=found.error_percent,
        error_count=found.error_count,
        open_seconds=found.open_seconds,
        trial_calls=found.trial_calls,
        max_open_seconds=receipts.max_open_seconds,
        receipt_seconds=receipts.wait_seconds if receipts.is_enabled else 0,
        receipt_percent=receipts.failed_percent,
    )


def release() -> int:
    """Return the version of the rules in force, for traces and events."""
    return circuit_breakers.now.release


def force(*, name: str, to: str, seconds: float = 0, by: Actor) -> bool:
    """Hold a breaker `open` or `closed`, or let it go (`automatic`), and return whether that changed anything.

    The audit entry is written first, and withdrawn if there was nothing to change: breakers live in Redis, which no transaction of the
    database covers.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    own = Provider.objects.filter(pk=name.removeprefix(PROVIDER)) if name.startswith(PROVIDER) else Provider.objects.none()
    owner = own.values_list("tenant_id", flat=True).first()
    tenant_id = by.tenant_id if owner is None else owner
    detail = {"state": to, **({"seconds": seconds} if seconds else {})}
    with audit.recorded_first(by=by, action=Action.BREAKER_FORCE, target=name, tenant_id=tenant_id, detail=detail) as entry:
        changed = breakers.force(name, to, by=str(by), seconds=seconds, release=release())
    if not changed:
        audit.withdraw(entry)
    return changed


def note_call(tally: Tally, name: str, results: Sequence[Accepted | ProviderError], took_ms: float) -> None:
    """Count one call by its results, one for each of its messages.

    A call failed when at least half of its messages met a fault of the service called. A refusal of the message itself is an answer like
    any other, and so is one that only came to nothing.
    """
    is_host = name.startswith(WEBHOOK)
    faults = [result for result in results if isinstance(result, ProviderError) and is_fault(result, of_host=is_host)]
    error = faults[-1].code if faults and 2 * len(faults) >= len(results) else ""
    tally.add(slow=took_ms >= _configured(name).slow_ms, error=error)


def is_fault(error: ProviderError, *, of_host: bool) -> bool:
    """Return whether an error is the fault of the service called rather than of the message.

    A host serves many recipients: only faults of the host itself count, not a wrong path or password of one recipient.
    """
    if error.permanent or error.ours:  # of ours: nothing was asked of the service, or not what broke
        return False
    return isinstance(error, OutcomeUnknown) or error.at_fault or error.code == BUSY or (error.unreachable and not of_host)


def note_receipts(pipeline: Any, *, provider_id: UUID, taken: Sequence[tuple[datetime, bool]], code: str) -> Recording:
    """Count receipts for the provider's breaker within a pipeline, and return what must hear its answers.

    `taken` tells of each when the provider took the message and whether it failed; `code` is that of the latest failure.
    """
    recording = breakers.recording(pipeline)
    receipts, name = circuit_breakers.value.receipts, of_provider(provider_id)
    if receipts.is_enabled and taken:
        configured = _configured(name)
        recording.add(
            name,
            Tally(
                calls=len(taken),
                errors=sum(failed for _at, failed in taken),
                code=code[:40],
                taken=[(int(at.timestamp() * 1000), failed) for at, failed in taken],
            ),
            Rule(
                window_seconds=receipts.window_seconds,
                min_requests=receipts.min_receipts,
                slow_percent=0,
                error_percent=receipts.failed_percent,
                error_count=0,
                open_seconds=configured.open_seconds,
                trial_calls=configured.trial_calls,
                counts="receipts",
                max_open_seconds=receipts.max_open_seconds,
                receipt_seconds=receipts.wait_seconds,
                receipt_percent=receipts.failed_percent,
            ),
            release=release(),
        )
    return recording
