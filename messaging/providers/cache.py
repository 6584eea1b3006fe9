"""The providers of each channel, loaded and ready to send; read from the database at most every two seconds.

`delivery.provider_selection` decides which of them takes a message.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import ImproperlyConfigured

from messaging.channels import registry
from messaging.channels.base import Adapter
from messaging.models import Provider
from messaging.providers.breakers import of_provider
from messaging.providers.latency import latencies
from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
CACHE_SECONDS = 2.0
SANDBOX = "sandbox"
TASK_MS = 700  # what one task should last, so that an urgent message soon finds a free thread
MAX_PER_TASK = 100


@dataclass(slots=True)
class LoadedProvider:
    """A provider row made able to send. `provider_id` None: the sandbox that every installation has."""

    provider_id: UUID | None
    name: str
    kind: str
    weight: int
    max_per_second: int | None
    max_at_once: int | None  # calls
    is_enabled: bool
    is_stand_in: bool
    adapter: Adapter
    slots: threading.BoundedSemaphore | None = field(init=False)
    breaker: str | None = field(init=False)  # its name

    def __post_init__(self) -> None:
        self.slots = threading.BoundedSemaphore(self.adapter.concurrency) if self.adapter.concurrency else None
        self.breaker = of_provider(self.provider_id) if self.provider_id else None

    def messages_per_task(self) -> int:
        """Return how many messages one task should carry: few where a call takes long."""
        bulk = self.adapter.bulk_size
        latency = latencies.of(self.provider_id) if self.provider_id else None
        most = self.adapter.chunk_size if latency is None else min(MAX_PER_TASK, bulk * max(1, int(TASK_MS / max(1.0, latency))))
        if self.max_per_second:
            most = min(most, max(1, self.max_per_second * TASK_MS // 1000))
        return max(bulk, most)


class ProviderCache:
    """The providers of each (tenant, channel), read from the database at most every two seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[int, str], tuple[float, list[LoadedProvider]]] = {}
        self._made: dict[UUID, tuple[Any, LoadedProvider]] = {}
        self._sandbox: LoadedProvider | None = None

    def in_force(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return the providers in force: stand-ins only where there is nothing else."""
        made = [c for c in self.all_of(tenant_id, channel) if c.is_enabled]
        return [c for c in made if not c.is_stand_in] or made

    def all_of(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return all providers of a channel, also disabled ones."""
        read_at, found = self._entries.get((tenant_id, channel), (0.0, []))
        if time.monotonic() - read_at > CACHE_SECONDS:
            # Credentials are read and decrypted only for rows that changed, and one that can't be does not take the others along.
            rows = list(Provider.objects.filter(tenant_id=tenant_id, channel=channel).defer("config", "receipt_secret"))
            with self._lock:
                found = [provider for row in rows if (provider := self._load(row))]
                self._entries[tenant_id, channel] = (time.monotonic(), found)
        return found

    def _load(self, row: Provider) -> LoadedProvider | None:
        version, provider = self._made.get(row.pk, (None, None))
        if provider is None or version != row.updated_at:
            try:
                adapter = registry.make_adapter(row.kind, row.config)
            except (ValueError, KeyError, ImproperlyConfigured):
                log.exception("provider unusable", provider=str(row.pk))
                return None
            if provider is not None:
                provider.adapter.close()
            caps = (row.max_per_second, row.max_at_once)
            provider = LoadedProvider(row.pk, row.name, row.kind, row.weight, *caps, row.is_enabled, row.is_stand_in, adapter)
            self._made[row.pk] = (row.updated_at, provider)
        return provider

    def sandbox(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return what sandbox keys may use: the tenant's sandbox providers, or the built-in one."""
        own = [c for c in self.all_of(tenant_id, channel) if c.kind == SANDBOX and c.is_enabled]
        if own:
            return own
        if self._sandbox is None:
            self._sandbox = LoadedProvider(None, "sandbox", SANDBOX, 1, None, None, True, True, registry.make_adapter(SANDBOX, {}))
        return [self._sandbox]

    def for_message(self, *, tenant_id: int, channel: str, is_sandbox: bool) -> list[LoadedProvider]:
        """Return the providers that may take such a message."""
        return self.sandbox(tenant_id, channel) if is_sandbox else self.in_force(tenant_id, channel)

    def chunk_size(self, tenant_id: int, channel: str) -> int:
        """Return how many messages one task should carry, whichever provider takes them."""
        return min((c.messages_per_task() for c in self.in_force(tenant_id, channel)), default=MAX_PER_TASK)

    def forget(self) -> None:
        """Make the next question read the database."""
        with self._lock:
            self._entries.clear()


provider_cache = ProviderCache()
on_reset(provider_cache.forget)
