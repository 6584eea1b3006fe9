"""Check, store, delete and test providers."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from django.db import transaction
from django.utils.translation import gettext as _
from pydantic import ValidationError

from accounts.services import audit
from accounts.services.audit import Actor
from configcenter.services.validation import message_of
from messaging.actions import Action
from messaging.channels import registry
from messaging.channels.base import Accepted, Misconfigured, ProviderError, SendRequest
from messaging.channels.recipients import normalise_recipient
from messaging.models import Message, Provider, ReceiptEntry
from messaging.models.provider import new_receipt_secret
from messaging.providers import condition
from messaging.providers.cache import provider_cache
from posthaste.lib import ids, logs
from posthaste.lib.crypto import is_lost
from posthaste.lib.masking import mask_recipient
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Conflict, Invalid, errors_for
from posthaste.lib.rows import lock

MAX_CONFIG_BYTES = 262_144


def check_config(*, kind: str, channel: str, config: dict[str, Any]) -> dict[str, Any]:
    """Check an adapter's configuration and return it in the form that is stored.

    Raises:
        Invalid: naming each wrong field as `config.<field>`.
    """
    if kind not in registry.ADAPTERS:
        raise Invalid.field(
            "kind", _("There is no kind {kind}. Available: {known}.").format(kind=kind, known=", ".join(registry.ADAPTERS)), "unknown"
        )
    if channel not in registry.CHANNELS:
        raise Invalid.field(
            "channel",
            _("There is no channel {channel}. Available: {known}.").format(channel=channel, known=", ".join(registry.CHANNELS)),
            "unknown",
        )
    if len(orjson.dumps(config, default=str)) > MAX_CONFIG_BYTES:
        raise Invalid.field("config", _("At most {n} bytes of JSON.").format(n=MAX_CONFIG_BYTES), "too_long")
    try:
        return registry.validate_config(kind, channel, config)
    except ValidationError as error:
        known = registry.ADAPTERS[kind].Config.model_fields

        def entry_of(found: Mapping[str, Any]) -> dict[str, Any]:
            path, message = [str(part) for part in found["loc"]], message_of(found)
            name, colon, rest = message.partition(": ")
            if not path and colon and name.partition(".")[0] in known:  # a check of several fields says itself which one is meant
                path, message = name.split("."), rest
            return {"field": ".".join(("config", *path)), "code": found["type"], "message": message}

        raise Invalid(errors=errors_for(error.errors(include_input=False, include_url=False), entry_of)) from None
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
def create_provider(*, provider: Provider, config: dict[str, Any], by: Actor) -> Provider:
    """Check and store a new provider.

    Raises:
        Invalid: a field is wrong, or the name is taken.
    """
    _save(provider, config)
    _record(provider, Action.PROVIDER_CREATE, by, name=provider.name, kind=provider.kind)
    return provider


@transaction.atomic
def ensure_provider(*, tenant_id: int, name: str, channel: str, kind: str, by: Actor) -> None:
    """Make a provider that needs no configuration, unless the tenant has one of this kind on this channel."""
    if not Provider.objects.filter(tenant_id=tenant_id, channel=channel, kind=kind).exists():
        taken = Provider.objects.filter(tenant_id=tenant_id, name=name).exists()
        create_provider(
            provider=Provider(tenant_id=tenant_id, name=f"{name} ({kind})" if taken else name, channel=channel, kind=kind), config={}, by=by
        )


def config_of(provider: Provider) -> dict[str, Any]:
    """Return the stored configuration; nothing where it can't be decrypted, so that it can be written anew."""
    return {} if is_lost(provider, "config") else provider.config


def is_installed(provider: Provider) -> bool:
    """Return whether the provider's kind and channel are installed, so that its configuration can be checked and used."""
    return provider.kind in registry.ADAPTERS and provider.channel in registry.CHANNELS


@transaction.atomic
def disable_uninstalled(*, provider: Provider, fields: Iterable[str], by: Actor) -> Provider:
    """Disable a provider whose kind or channel is no longer installed; `fields` are the names of those that the caller changed.

    Nothing else of it can be changed, because its adapter is missing and its configuration can't be checked.

    Raises:
        Invalid: another field was changed, or it is to be enabled.
    """
    message = (
        _("The kind {kind} is no longer installed. You can only disable or delete this provider.").format(kind=provider.kind)
        if provider.kind not in registry.ADAPTERS
        else _("The channel {channel} is no longer installed. You can only disable or delete this provider.").format(
            channel=provider.channel
        )
        if provider.channel not in registry.CHANNELS
        else _("The configuration can't be decrypted. Write it anew, or disable or delete this provider.")
    )
    changed = {*fields}
    wrong = sorted(changed - {"is_enabled"} if not provider.is_enabled else changed)
    if wrong:
        raise Invalid(errors=[{"field": name, "code": "not_installed", "message": message} for name in wrong])
    lock(provider)
    provider.save(update_fields=["is_enabled", "updated_at"])
    transaction.on_commit(provider_cache.forget)
    _record(provider, Action.PROVIDER_CHANGE, by, fields=["is_enabled"])
    return provider


@transaction.atomic
def change_provider(*, provider: Provider, config: dict[str, Any], fields: Iterable[str], by: Actor) -> Provider:
    """Check and store a changed provider; `fields` are the names of those that changed.

    Raises:
        Invalid: a field is wrong, or the name is taken.
        NotFound: it was deleted meanwhile.
    """
    lock(provider)
    _save(provider, config)
    _record(provider, Action.PROVIDER_CHANGE, by, fields=sorted(fields))
    return provider


def _save(provider: Provider, config: dict[str, Any]) -> None:
    provider.config = check_config(kind=provider.kind, channel=provider.channel, config=config)
    if Provider.objects.filter(tenant_id=provider.tenant_id, name=provider.name).exclude(pk=provider.pk).exists():
        raise Invalid.field("name", _("A provider with this name already exists."), "taken")
    provider.save()
    transaction.on_commit(provider_cache.forget)
    transaction.on_commit(partial(condition.forget_refusal, provider.pk))


def _record(provider: Provider, action: Action, by: Actor, **detail: Any) -> None:
    audit.record(by=by, action=action, target=provider.pk, tenant_id=provider.tenant_id, detail=detail)


def delete_provider(*, provider: Provider, by: Actor) -> None:
    """Remove a provider that has carried nothing.

    Raises:
        Conflict: messages or receipts name it.
        NotFound: it was deleted meanwhile.
    """
    if (
        Message.objects.filter(tenant_id=provider.tenant_id, provider=provider).exists()
        or ReceiptEntry.objects.filter(provider=provider).exists()
    ):
        raise Conflict(_("It has sent messages that refer to it. Disable it instead."))
    with transaction.atomic():
        lock(provider)
        _record(provider, Action.PROVIDER_DELETE, by, name=provider.name)
        provider.delete()
    provider_cache.forget()


def reveal_receipt_secret(*, provider: Provider, by: Actor) -> str:
    """Return the secret that receipts are signed with, and write down who looked."""
    _record(provider, Action.PROVIDER_REVEAL_RECEIPT_SECRET, by)
    secret: str = provider.receipt_secret
    return secret


@transaction.atomic
def renew_receipt_secret(*, provider: Provider, by: Actor) -> str:
    """Replace the secret that receipts are signed with, and return the new one. The old one stops working at once.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(provider)
    secret = provider.receipt_secret = new_receipt_secret()
    provider.save(update_fields=["receipt_secret", "updated_at"])
    _record(provider, Action.PROVIDER_NEW_RECEIPT_SECRET, by)
    return secret


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test message gave."""

    __test__ = False

    ok: bool
    code: str
    detail: str
    provider_message_id: str
    duration_ms: int
    field: str = ""  # what has to be changed, where that is known: `recipient`, `config.password`


#: Fields of a message as the test form calls them.
_OF_THE_MESSAGE = {"recipient": "recipient", "subject": "text", "body": "text"}


def _blamed(error: ProviderError) -> str:
    """Return the field of the test, or of the provider's configuration, that has to be changed; empty where that is not known."""
    if not error.field:
        return ""
    return f"config.{error.field}" if isinstance(error, Misconfigured) else _OF_THE_MESSAGE.get(error.field, "")


def send_test(*, provider: Provider, recipient: str, text: str, by: Actor) -> TestResult:
    """Send one message through a provider now, outside the queue, and return what came of it.

    Raises:
        Invalid: the recipient is none of this channel, or the stored configuration is wrong.
        TooMany: as many calls as a process may wait for are in progress.
    """
    result = _send_test(provider, recipient, text)
    shown = mask_recipient(provider.channel, recipient)
    _record(provider, Action.PROVIDER_TEST, by, ok=result.ok, code=result.code, recipient=shown)
    return result


def _send_test(provider: Provider, recipient: str, text: str) -> TestResult:
    try:
        recipient = normalise_recipient(provider.channel, recipient)
    except ValueError as error:
        raise Invalid.field("recipient", str(error)) from None
    check_config(kind=provider.kind, channel=provider.channel, config=provider.config)
    adapter = registry.make_adapter(provider.kind, provider.config)
    request = SendRequest(id=ids.new_id(), channel=provider.channel, recipient=recipient, subject=" ".join(text.split())[:80], body=text)
    began = time.monotonic()
    result: Accepted | ProviderError
    try:
        with outgoing_calls.place(provider.tenant_id), logs.about([request.id], recipients=[recipient]):
            result = adapter.send(request)
    except ProviderError as error:
        result = error
    finally:
        adapter.close()
    took = int((time.monotonic() - began) * 1000)
    if isinstance(result, ProviderError):
        return TestResult(False, result.code, result.detail[:500], "", took, _blamed(result))
    return TestResult(True, "", "", result.provider_message_id, took)
