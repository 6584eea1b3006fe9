import json
from typing import Any

import pytest
from pydantic import ValidationError

from messaging.channels.base import Adapter
from messaging.channels.registry import ADAPTERS, CHANNELS, make_adapter, redact_config, validate_config

EXAMPLES: dict[str, dict[str, Any]] = {
    "sandbox": {"latency_ms": 1},
    "email": {"host": "smtp.example.com", "username": "me", "password": "hunter22", "from_email": "a@example.com"},
    "http": {
        "url": "https://gateway.example/send",
        "headers": {"Authorization": "Bearer topsecret"},
        "signing_secret": "whsec_c2VjcmV0c2VjcmV0",
    },
    "apprise": {"url": "wecombot://topsecret-key"},
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
