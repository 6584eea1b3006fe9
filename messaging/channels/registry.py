"""The registry of channels and provider kinds.

Both are discovered, not listed: the module or package `channels` of every installed app is imported together with its direct submodules.
The channels they declare end up in CHANNELS, and each of their classes that derives from `Adapter` in ADAPTERS. Abstract classes, and
those whose name begins with `_`, are bases for others and are left out.
"""

import inspect
import re
from collections.abc import Set
from datetime import date
from types import ModuleType
from typing import Any, NoReturn

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from pydantic import PydanticUserError, SecretStr

from messaging.channels import standard  # noqa: F401 - our own channels come first
from messaging.channels.base import Adapter, ProviderConfig
from messaging.channels.channel import CHANNELS, channel_choices, open_choices
from posthaste.lib.discovery import import_from_apps

__all__ = ["ADAPTERS", "CHANNELS", "CHANNEL_CHOICES", "KINDS", "OPEN_CHANNELS", "make_adapter", "redact_config", "validate_config"]

#: The kinds of provider, by the name that is stored.
ADAPTERS: dict[str, type[Adapter]] = {}


#: As long as the column that holds it.
KIND = re.compile(r"[a-z][a-z0-9_-]{0,19}")


def add_kinds(module: ModuleType) -> None:
    """Add the adapters that a module defines. All channels must have been declared.

    Raises:
        ValueError: an adapter is not complete, or its kind is taken.
    """
    for found in vars(module).values():
        if not (inspect.isclass(found) and issubclass(found, Adapter) and found.__module__ == module.__name__):
            continue
        if found.__name__.startswith("_") or (inspect.isabstract(found) and not hasattr(found, "kind")):
            continue
        check_kind(found)
        if (taken := ADAPTERS.setdefault(found.kind, found)) is not found:
            raise ValueError(f"{_path(found)}: the kind {found.kind!r} is already declared by {_path(taken)}. Choose another name.")


def check_kind(adapter: type[Adapter]) -> None:
    """Refuse an adapter that is not complete, so that no page or request has to cope with it.

    Raises:
        ValueError: says what is missing or wrong, and how to write it.
    """

    def refuse(what: str) -> NoReturn:
        raise ValueError(f"{_path(adapter)}: {what}")

    kind, channels, config = (getattr(adapter, name, None) for name in ("kind", "channels", "Config"))
    if kind is None:
        refuse('it has no kind. Set kind = "…", or begin the name of a class that is only a base with "_".')
    if not isinstance(kind, str) or not KIND.fullmatch(kind):
        refuse(f"the kind {kind!r} must be 1 to 20 lower-case letters, digits, _ and -, and start with a letter.")
    if inspect.isabstract(adapter):
        refuse(f"it has no {', '.join(sorted(adapter.__abstractmethods__))}(). Define what Adapter declares abstract.")
    if not str(getattr(adapter, "title", "")).strip():
        refuse('it has no title. Set title = gettext_lazy("…").')
    if not isinstance(channels, Set) or not channels:
        refuse('it serves no channel. Set channels = frozenset({"…"}).')
    if unknown := sorted(map(str, channels - CHANNELS.keys())):
        refuse(f"there is no channel {', '.join(unknown)}. Available: {', '.join(CHANNELS)}.")
    if not inspect.isclass(config) or not issubclass(config, ProviderConfig):
        refuse("it has no Config. Set Config to a class derived from ProviderConfig.")
    try:
        config.model_json_schema()
    except PydanticUserError as error:
        refuse(f"its Config has no JSON schema, which the API and the admin show: {error.message}")


def _path(adapter: type[Adapter]) -> str:
    return f"{adapter.__module__}.{adapter.__qualname__}"


for _module in import_from_apps("channels"):
    add_kinds(_module)
#: The names of the kinds and of the channels, as choices.
KINDS: list[tuple[str, str]] = [(kind, kind) for kind in ADAPTERS]
CHANNEL_CHOICES: list[tuple[str, str | Promise]] = channel_choices()
#: Those that callers can choose.
OPEN_CHANNELS: list[tuple[str, str | Promise]] = open_choices()

REDACTED = "••••••"
_USERINFO = re.compile(r"(?<=://)[^/@\s?#]+(?=@)")
_SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:key|token|secret|pass|pwd|sign|auth|credential)[^=&#]*=)[^&#\s]+", re.IGNORECASE)
#: A part of a path that looks random: long, with letters and digits. Chat services put their secrets there.
_SECRET_SEGMENT = re.compile(r"(?<=/)(?=[^/?#\s]*[0-9])(?=[^/?#\s]*[A-Za-z])[A-Za-z0-9_.~%:-]{16,}(?=[/?#]|$)")


def _adapter_class(kind: str) -> type[Adapter]:
    try:
        return ADAPTERS[kind]
    except KeyError:
        raise ValueError(_("There is no kind {kind}. Available: {known}.").format(kind=kind, known=", ".join(ADAPTERS))) from None


def make_adapter(kind: str, config: dict[str, Any]) -> Adapter:
    """Build the adapter of a provider from its stored configuration."""
    adapter = _adapter_class(kind)
    return adapter(adapter.Config.model_validate(config))


def validate_config(kind: str, channel: str, config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration and return it ready to be stored, secrets in clear: encrypt it.

    Raises:
        pydantic.ValidationError: a field is wrong.
        ValueError: the kind does not exist, or does not serve the channel.
    """
    adapter = _adapter_class(kind)
    if channel not in adapter.channels:
        known = ", ".join(name for name in CHANNELS if name in adapter.channels)
        raise ValueError(_("Providers of the kind {kind} serve {known}, not {channel}.").format(kind=kind, known=known, channel=channel))
    checked = adapter.Config.model_validate(config, context={"channel": channel})
    return {name: _reveal(value) for name, value in checked.model_dump(exclude_unset=True).items()}


def redact_config(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration fit to be shown: no secret, header value, or password in a URL.

    Every value of a kind that is not installed is masked: only its adapter knows what is secret.
    """
    adapter = ADAPTERS.get(kind)
    fields = adapter.Config.model_fields if adapter else {}
    shown: dict[str, Any] = {}
    for name, value in config.items():
        field = fields.get(name)
        if field is None or (_holds_secret(field.annotation) and value):
            shown[name] = dict.fromkeys(value, REDACTED) if isinstance(value, dict) else REDACTED
        else:
            shown[name] = _redact_urls(value)
    return shown


def _holds_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_holds_secret(part) for part in getattr(annotation, "__args__", ()))


def _redact_urls(value: Any) -> Any:
    if isinstance(value, str):
        if "://" not in value:
            return value
        value = _USERINFO.sub(REDACTED, value)
        return _SECRET_SEGMENT.sub(REDACTED, _SECRET_PARAMETER.sub(rf"\1{REDACTED}", value))
    if isinstance(value, dict):
        return {key: _redact_urls(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_redact_urls(part) for part in value]
    return value


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, date):
        return value.isoformat()  # it is stored as JSON
    if isinstance(value, dict):
        return {key: _reveal(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_reveal(part) for part in value]
    return value
