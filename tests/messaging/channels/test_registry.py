import json
from abc import abstractmethod
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError

from messaging.channels import registry
from messaging.channels.base import Accepted, Adapter, ProviderConfig, SendRequest
from messaging.channels.registry import ADAPTERS, CHANNELS, add_kinds, make_adapter, redact_config, validate_config

EXAMPLES: dict[str, dict[str, Any]] = {
    "sandbox": {"latency_ms": 1},
    "email": {"host": "smtp.example.com", "username": "me", "password": "hunter22", "from_email": "a@example.com"},
    "http": {
        "url": "https://gateway.example/send",
        "headers": {"Authorization": "Bearer topsecret"},
        "signing_secret": "whsec_c2VjcmV0c2VjcmV0",
    },
    "apprise": {"url": "wecombot://topsecret-key"},
    "entrance": {},
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_kind_says_what_it_is_and_serves_known_channels(kind: str) -> None:
    adapter = ADAPTERS[kind]
    assert adapter.kind == kind
    assert adapter.title
    assert adapter.channels <= set(CHANNELS)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_kind_is_built_from_a_checked_configuration_that_survives_json(kind: str) -> None:
    channel = min(ADAPTERS[kind].channels - {"sms"})
    stored = validate_config(kind, channel, EXAMPLES[kind])
    adapter = make_adapter(kind, json.loads(json.dumps(stored)))
    assert isinstance(adapter, Adapter)
    adapter.close()


def test_every_channel_has_a_kind() -> None:
    assert {channel for adapter in ADAPTERS.values() for channel in adapter.channels} == set(CHANNELS)


@pytest.mark.parametrize(("kind", "channel"), [("email", "sms"), ("http", "email"), ("apprise", "webhook"), ("nonsense", "sms")])
def test_a_kind_that_does_not_serve_the_channel_is_refused(kind: str, channel: str) -> None:
    with pytest.raises(ValueError, match=kind):
        validate_config(kind, channel, {})


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_unknown_field_is_refused(kind: str) -> None:
    with pytest.raises(ValidationError, match="surprise"):
        validate_config(kind, min(ADAPTERS[kind].channels), {**EXAMPLES[kind], "surprise": 1})


@pytest.mark.parametrize("kind", ADAPTERS)
def test_no_secret_is_shown(kind: str) -> None:
    shown = json.dumps(redact_config(kind, EXAMPLES[kind]))
    for secret in ("hunter22", "topsecret", "c2VjcmV0"):
        assert secret not in shown


def test_no_secret_is_in_an_error() -> None:
    with pytest.raises(ValidationError) as caught:
        validate_config("http", "sms", {"url": "https://u:topsecret@h/", "headers": {"X": "topsecret\n"}})
    assert "topsecret" not in str(caught.value)


def test_secrets_in_addresses_are_hidden_and_the_rest_is_shown() -> None:
    shown = redact_config(
        "http", {"url": "https://gw.example/hooks/Abcdefgh12345678?to=1&api_key=topsecret", "bulk": {"url": "https://a:b@gw.example/bulk"}}
    )
    assert shown["url"] == "https://gw.example/hooks/••••••?to=1&api_key=••••••"
    assert shown["bulk"]["url"] == "https://••••••@gw.example/bulk"


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert redact_config("email", {"password": ""}) == {"password": ""}


def test_a_field_that_is_not_known_any_more_is_hidden() -> None:
    assert redact_config("email", {"old_token": "topsecret"}) == {"old_token": "••••••"}


class TrialConfig(ProviderConfig):
    """The configuration of a kind of the tests."""

    url: str = ""


class NoSchemaConfig(ProviderConfig):
    """A configuration that JSON schema can't describe."""

    call: ModuleType
    model_config = {"arbitrary_types_allowed": True}


def hand_over(self: Adapter, composed: SendRequest) -> Accepted:
    return Accepted()


COMPLETE = {"kind": "trial", "title": "Trial", "channels": frozenset({"sms"}), "Config": TrialConfig, "hand_over": hand_over}


def declare(monkeypatch: pytest.MonkeyPatch, name: str = "TrialAdapter", **changed: Any) -> None:
    """Declare a kind as a module of an app does; a value of None leaves that part of it out."""
    monkeypatch.setattr(registry, "ADAPTERS", dict(ADAPTERS))
    module = ModuleType("orders.channels.trial")
    body = {key: value for key, value in (COMPLETE | changed).items() if value is not None}
    setattr(module, name, type(name, (Adapter,), body | {"__module__": module.__name__}))
    add_kinds(module)


def test_a_complete_kind_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, kind="k" * 20)
    assert "k" * 20 in registry.ADAPTERS


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"kind": None}, "has no kind"),
        ({"kind": "k" * 21}, "1 to 20"),
        ({"kind": "My kind"}, "1 to 20"),
        ({"kind": 5}, "1 to 20"),
        ({"kind": "http"}, "already declared by messaging.channels.http.HttpAdapter"),
        ({"title": None}, "has no title"),
        ({"channels": None}, "serves no channel"),
        ({"channels": frozenset()}, "serves no channel"),
        ({"channels": "sms"}, "serves no channel"),
        ({"channels": frozenset({"sms", "fax"})}, "no channel fax.*Available: sms"),
        ({"Config": None}, "has no Config"),
        ({"Config": dict}, "has no Config"),
        ({"Config": NoSchemaConfig}, "no JSON schema"),
        ({"hand_over": None}, r"has no hand_over\(\)"),
    ],
)
def test_a_kind_that_is_not_complete_is_refused_with_what_to_do(
    changed: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=f"orders.channels.trial.TrialAdapter: .*{sentence}"):
        declare(monkeypatch, **changed)
    assert set(registry.ADAPTERS) == set(ADAPTERS)


def test_a_class_that_is_only_a_base_needs_no_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monkeypatch, name="_TrialBase", kind=None)
    declare(monkeypatch, kind=None, connect=abstractmethod(hand_over))
    assert set(registry.ADAPTERS) == set(ADAPTERS)
