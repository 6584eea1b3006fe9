"""Breakers as people and programs read them: each with its state, why, and what its window holds."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts import selectors as accounts
from messaging import selectors
from messaging.channels.channel import label_of
from messaging.models import Provider
from messaging.providers.breakers import PROVIDER, WEBHOOK, host_and_tenant, of_provider
from posthaste.lib.breaker import Phase, State, breakers


def _moment(milliseconds: int) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None


def _shown(name: str, found: dict[str, Any], provider: Provider | None) -> dict[str, Any]:
    state: State = found["state"]
    return {
        "name": name,
        "kind": "provider" if provider else "webhook",
        "title": provider.name if provider else host_and_tenant(name)[0],
        "provider_id": provider.pk if provider else None,
        "channel": provider.channel if provider else "webhook",
        "state": str(found["phase"]),
        "since": _moment(state.since),
        "retry_at": _moment(state.retry_at) if found["phase"] == "open" else None,
        "waits_for_receipts_until": _moment(state.judged_at) if found["phase"] == "half_open" else None,
        "reason": state.why,
        "reason_number": state.number,
        "reason_of": state.of,
        "reason_code": state.code,
        "configuration_version": state.release,
        "forced": state.forced if found["is_forced"] else "",
        "forced_by": state.forced_by if found["is_forced"] else "",
        "forced_until": _moment(state.forced_until) if found["is_forced"] else None,
        "calls": found["calls"],
        "slow_calls": found["slow"],
        "failed_calls": found["errors"],
        "receipts": found["receipts"],
        "failed_receipts": found["failed_receipts"],
    }


def of_providers(providers: Iterable[Provider]) -> list[dict[str, Any]]:
    """Return the breaker of each provider, in their order.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    by_name = {of_provider(provider.pk): provider for provider in providers}
    return [_shown(name, found, by_name[name]) for name, found in breakers.snapshot(by_name).items()]


def of_installation() -> list[dict[str, Any]]:
    """Return every breaker, also those of webhook hosts, with the tenant and the channel's name; open ones first.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    providers = list(Provider.objects.select_related("tenant").defer("config", "receipt_secret").order_by("name"))
    tenants = {provider.pk: provider.tenant for provider in providers}
    hosts = of_hosts()
    of_endpoints = accounts.tenants().in_bulk({tenant_id for row in hosts if (tenant_id := host_and_tenant(row["name"])[1])})
    rows = of_providers(providers) + hosts
    for row in rows:
        tenant = tenants.get(row["provider_id"]) or of_endpoints.get(host_and_tenant(row["name"])[1] or 0)
        row["tenant"], row["tenant_id"] = (tenant.name, tenant.pk) if tenant else ("", None)
        row["channel_name"] = label_of(row["channel"])
    ranks = {Phase.OPEN: 0, Phase.HALF_OPEN: 1, Phase.CLOSED: 2}
    return sorted(rows, key=lambda row: (ranks[row["state"]], not row["forced"], row["kind"], row["title"]))


def of_hosts() -> list[dict[str, Any]]:
    """Return the breaker of each host that webhooks went to within a day.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    names = [name for name in breakers.names() if name.startswith(WEBHOOK)]
    return [_shown(name, found, None) for name, found in breakers.snapshot(names).items()]


def find(name: str, *, tenant_id: int, with_hosts: bool) -> dict[str, Any] | None:
    """Return one breaker: of the tenant's own provider, or of a host if `with_hosts`.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    if name.startswith(PROVIDER):
        try:
            provider = selectors.providers(tenant_id).filter(pk=UUID(name.removeprefix(PROVIDER))).defer("config", "receipt_secret").first()
        except ValueError:
            return None
        return of_providers([provider])[0] if provider and of_provider(provider.pk) == name else None
    if with_hosts and name.startswith(WEBHOOK) and name in breakers.names():
        return _shown(name, breakers.snapshot([name])[name], None)
    return None


def history(name: str) -> list[dict[str, Any]]:
    """Return what happened to a breaker, newest first, a hundred events at most.

    Raises:
        posthaste.lib.redis.Unavailable: Redis is away.
    """
    return [
        {
            "at": _moment(event["at"]),
            "event": event["event"],
            "by": event["by"],
            "reason": event["why"],
            "reason_number": event["number"],
            "reason_of": event["of"],
            "reason_code": event["code"],
            "configuration_version": event["release"],
        }
        for event in breakers.history(name)
    ]
