"""The providers of a channel, remembered per process for a moment; which of them takes a message is `choose`'s business."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import ValidationError

from messaging.channels import registry
from messaging.channels.base import Accepted, Adapter, ProviderError, SendRequest
from messaging.channels.recipients import normalise_recipient
from messaging.models import Message, Provider, ReceiptEntry
from messaging.providers.breakers import of_provider
from messaging.providers.latency import latencies
from posthaste.lib import ids
from posthaste.lib.problems import Conflict, Invalid

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

    def messages_a_task(self) -> int:
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

    def carriers(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return the carriers in force: stand-ins only where there is nothing else."""
        made = [c for c in self.every(tenant_id, channel) if c.is_enabled]
        return [c for c in made if not c.is_stand_in] or made

    def every(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return all carriers of a channel, also disabled ones."""
        read_at, found = self._entries.get((tenant_id, channel), (0.0, []))
        if time.monotonic() - read_at > CACHE_SECONDS:
            # Credentials are read and decrypted only for rows that changed, and one that can't be does not take the others along.
            rows = list(Provider.objects.filter(tenant_id=tenant_id, channel=channel).defer("config", "receipt_secret"))
            with self._lock:
                found = [carrier for row in rows if (carrier := self._carrier(row))]
                self._entries[tenant_id, channel] = (time.monotonic(), found)
        return found

    def _carrier(self, row: Provider) -> LoadedProvider | None:
        version, carrier = self._made.get(row.pk, (None, None))
        if carrier is None or version != row.updated_at:
            try:
                adapter = registry.make_adapter(row.kind, row.config)
            except (ValueError, KeyError, ImproperlyConfigured):
                log.exception("provider unusable", provider=str(row.pk))
                return None
            if carrier is not None:
                carrier.adapter.close()
            caps = (row.max_per_second, row.max_at_once)
            carrier = LoadedProvider(row.pk, row.name, row.kind, row.weight, *caps, row.is_enabled, row.is_stand_in, adapter)
            self._made[row.pk] = (row.updated_at, carrier)
        return carrier

    def sandbox(self, tenant_id: int, channel: str) -> list[LoadedProvider]:
        """Return what sandbox keys may use: the tenant's sandbox providers, or the built-in one."""
        own = [c for c in self.every(tenant_id, channel) if c.kind == SANDBOX and c.is_enabled]
        if own:
            return own
        if self._sandbox is None:
            self._sandbox = LoadedProvider(None, "sandbox", SANDBOX, 1, None, None, True, True, registry.make_adapter(SANDBOX, {}))
        return [self._sandbox]

    def for_message(self, *, tenant_id: int, channel: str, is_sandbox: bool) -> list[LoadedProvider]:
        """Return the carriers that may take such a message."""
        return self.sandbox(tenant_id, channel) if is_sandbox else self.carriers(tenant_id, channel)

    def chunk_size(self, tenant_id: int, channel: str) -> int:
        """Return how many messages one task should carry, whichever provider takes them."""
        return min((c.messages_a_task() for c in self.carriers(tenant_id, channel)), default=MAX_PER_TASK)

    def forget(self) -> None:
        """Make the next question read the database."""
        with self._lock:
            self._entries.clear()


book = ProviderCache()


def check_config(*, kind: str, channel: str, config: dict[str, Any]) -> dict[str, Any]:
    """Check an adapter's configuration and return it in the form that is stored.

    Raises:
        Invalid: naming each wrong field as `config.<field>`.
    """
    if kind not in registry.ADAPTERS:
        raise Invalid.field(
            "kind", _("There is no kind {kind}. Known: {known}.").format(kind=kind, known=", ".join(registry.ADAPTERS)), "unknown"
        )
    if channel not in registry.CHANNELS:
        raise Invalid.field(
            "channel",
            _("There is no channel {channel}. Known: {known}.").format(channel=channel, known=", ".join(registry.CHANNELS)),
            "unknown",
        )
    try:
        return registry.validate_config(kind, channel, config)
    except ValidationError as error:
        known = registry.ADAPTERS[kind].Config.model_fields
        errors = []
        for e in error.errors(include_input=False, include_url=False):
            path, message = [str(part) for part in e["loc"]], e["msg"].removeprefix("Value error, ")
            name, colon, rest = message.partition(": ")
            if not path and colon and name in known:  # a check of several fields together says itself which one is meant
                path, message = [name], rest
            errors.append({"field": ".".join(("config", *path)), "code": e["type"], "message": message})
        raise Invalid(errors=errors) from None
    except ValueError as error:
        raise Invalid.field("kind", str(error)) from None


def merge_secrets(*, kind: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Keep a stored secret where the edited configuration still shows its mask."""
    shown = registry.redact_config(kind, old)

    def merged(before: Any, masked: Any, after: Any) -> Any:
        if isinstance(after, dict) and isinstance(before, dict) and isinstance(masked, dict):
            return {name: merged(before.get(name), masked.get(name), value) for name, value in after.items()}
        return before if after == masked and before != masked else after

    return {name: merged(old.get(name), shown.get(name), value) for name, value in new.items()}


def change_caps(*, provider: Provider, caps: Mapping[str, int | None] | None) -> None:
    """Set those caps that are named (RFC 7396); None removes one, and None in place of all every one. Not stored yet."""
    wanted = dict.fromkeys(("per_second", "at_once")) if caps is None else caps
    # One that is not named stays: a limit that is lost by accident is noticed by the provider first.
    provider.max_per_second = wanted.get("per_second", provider.max_per_second)
    provider.max_at_once = wanted.get("at_once", provider.max_at_once)


@transaction.atomic
def save_provider(
    *,
    provider: Provider,
    config: dict[str, Any],
) -> Provider:
    """Check and store a provider.

    Raises:
        Invalid: a field is wrong, or the name is taken.
    """
    provider.config = check_config(kind=provider.kind, channel=provider.channel, config=config)
    if Provider.objects.filter(tenant_id=provider.tenant_id, name=provider.name).exclude(pk=provider.pk).exists():
        raise Invalid.field("name", _("There is already a provider of this name."), "taken")
    provider.save()
    transaction.on_commit(book.forget)
    return provider


def delete_provider(*, provider: Provider) -> None:
    """Remove a provider that has carried nothing.

    Raises:
        Conflict: messages or receipts name it.
    """
    if (
        Message.objects.filter(tenant_id=provider.tenant_id, provider=provider).exists()
        or ReceiptEntry.objects.filter(provider=provider).exists()
    ):
        raise Conflict(_("It has carried messages, whose history names it. Disable it instead."))
    provider.delete()
    book.forget()


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test message gave."""

    __test__ = False

    ok: bool
    code: str
    detail: str
    provider_message_id: str
    duration_ms: int


def send_test(*, provider: Provider, recipient: str, text: str) -> TestResult:
    """Send one message through a provider now, outside the queue, and return what came of it."""
    recipient = normalise_recipient(provider.channel, recipient)
    adapter = registry.make_adapter(provider.kind, provider.config)
    began = time.monotonic()
    result: Accepted | ProviderError
    try:
        result = adapter.send(SendRequest(id=ids.new_id(), channel=provider.channel, recipient=recipient, subject=text[:80], body=text))
    except ProviderError as error:
        result = error
    finally:
        adapter.close()
    took = int((time.monotonic() - began) * 1000)
    if isinstance(result, ProviderError):
        return TestResult(False, result.code, result.detail[:500], "", took)
    return TestResult(True, "", "", result.provider_message_id, took)
