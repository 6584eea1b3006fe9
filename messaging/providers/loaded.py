"""Check, store, delete and test providers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import ValidationError

from messaging.channels import registry
from messaging.channels.base import Accepted, ProviderError, SendRequest
from messaging.channels.recipients import normalise_recipient
from messaging.models import Message, Provider, ReceiptEntry
from messaging.providers.cache import provider_cache
from posthaste.lib import ids
from posthaste.lib.problems import Conflict, Invalid


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
    transaction.on_commit(provider_cache.forget)
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
    provider_cache.forget()


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
