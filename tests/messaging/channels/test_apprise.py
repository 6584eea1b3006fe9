import logging
from typing import Any

import pytest
import requests
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.slack import NotifySlack
from apprise.plugins.wecombot import NotifyWeComBot
from pydantic import ValidationError

from messaging.channels.apprise import AppriseAdapter, transport
from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError
from messaging.channels.registry import make_adapter, validate_config
from tests.messaging.channels.requests import text_message
from tests.peers.gateway import Answer, Gateway


def adapter_for(url: str, *, channel: str = "chat", **config: Any) -> AppriseAdapter:
    return make_adapter("apprise", validate_config("apprise", channel, {"url": url, **config}))  # type: ignore[return-value]


def note(**fields: Any) -> Any:
    return text_message(**{"channel": "chat", "recipient": "anna", "subject": "News", "body": "It is <done> & well", **fields})


def failure(adapter: AppriseAdapter, **fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        adapter.send(note(**fields))
    return caught.value


def test_a_note_arrives_with_subject_and_body(gateway: Gateway) -> None:
    assert adapter_for(f"json://127.0.0.1:{gateway.port}/hook").send(note()) == Accepted()
    body = gateway.records[0].body
    assert (body["title"], body["message"]) == ("News", "It is <done> & well")


def test_the_recipient_is_put_into_the_url_encoded(gateway: Gateway) -> None:
    adapter_for(f"json://127.0.0.1:{gateway.port}/to/{{recipient}}/").send(note(recipient="a/b?c=d#é"))
    assert gateway.records[0].path == "/to/a%2Fb%3Fc=d%23%C3%A9/"


@pytest.mark.parametrize(
    ("plugin", "attribute", "url", "text"),
    [
        (NotifyWeComBot, "notify_url", "wecombot://botkey-1234", lambda body: body["text"]["content"]),
        (NotifyDingTalk, "notify_url", "dingtalk://abcdef0123456789", lambda body: body["text"]["content"]),
        (NotifySlack, "webhook_url", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/", str),
    ],
)
def test_services_with_a_fixed_address_send_their_own_form(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, plugin: Any, attribute: str, url: str, text: Any
) -> None:
    monkeypatch.setattr(plugin, attribute, f"http://127.0.0.1:{gateway.port}/{plugin.__name__}")
    if plugin is NotifySlack:
        gateway.script(Answer(body="ok", headers={"Content-Type": "text/plain"}))
    adapter_for(url).send(note(body="Backup is done"))
    assert "Backup is done" in text(gateway.records[0].body)


def test_every_message_goes_out_at_once_without_the_pauses_of_the_library(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NotifyWeComBot, "notify_url", f"http://127.0.0.1:{gateway.port}/wecom?key={{key}}")
    monkeypatch.setattr("apprise.url.time.sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    adapter = adapter_for("wecombot://botkey-1234", channel="wecom")
    for _ in range(3):
        adapter.send(note())
    assert (len(gateway.records), gateway.connections) == (3, 1)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_inner_address_is_refused_before_anything_is_sent(gateway: Gateway, host: str) -> None:
    error = failure(adapter_for(f"json://{host}:{gateway.port}/"))
    assert (error.code, error.unreachable) == ("blocked_address", True)
    assert gateway.connections == 0


@pytest.mark.usefixtures("guarded")
def test_a_recipient_cannot_choose_an_inner_address(gateway: Gateway) -> None:
    assert failure(adapter_for("json://{recipient}/"), recipient="127.0.0.1").code in ("blocked_address", "bad_recipient")


def test_a_redirect_is_not_followed(gateway: Gateway) -> None:
    gateway.script(Answer(status=307, headers={"Location": f"http://127.0.0.1:{gateway.port}/elsewhere"}))
    failure(adapter_for(f"json://127.0.0.1:{gateway.port}/?redirect=yes"))
    assert [record.path.rstrip("/") for record in gateway.records] == [""]


def test_proxy_variables_are_ignored(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    adapter_for(f"json://127.0.0.1:{gateway.port}/").send(note())


@pytest.mark.parametrize(
    ("answer", "code", "unreachable"),
    [
        (Answer(status=500), "apprise_failed", True),
        (Answer(status=400), "apprise_failed", False),
        (Answer(status=401), "provider_auth", True),
        (Answer(status=429, headers={"Retry-After": "9"}), "rate_limited", False),
    ],
)
def test_a_refusal_is_temporary_and_says_why(gateway: Gateway, answer: Answer, code: str, unreachable: bool) -> None:
    gateway.script(answer)
    error = failure(adapter_for(f"json://127.0.0.1:{gateway.port}/"))
    assert (error.code, error.unreachable, error.permanent, type(error)) == (code, unreachable, False, ProviderError)
    assert str(answer.status) in error.detail
    assert error.retry_after == (9 if answer.status == 429 else None)


@pytest.mark.parametrize("action", ["hang", "reset", "drip"])
def test_an_answer_that_does_not_come_is_unknown(gateway: Gateway, action: Any) -> None:
    gateway.script(Answer(action=action, body="x" * 2000))
    assert isinstance(failure(adapter_for(f"json://127.0.0.1:{gateway.port}/", timeout_seconds=1)), OutcomeUnknown)


def test_a_service_that_is_away_has_taken_nothing() -> None:
    error = failure(adapter_for("json://127.0.0.1:1/"))
    assert (type(error), error.unreachable) == (ProviderError, True)


def test_a_huge_answer_is_not_read_to_its_end(gateway: Gateway) -> None:
    gateway.script(Answer(body=b"x" * 5_000_000))
    assert adapter_for(f"json://127.0.0.1:{gateway.port}/").send(note()) == Accepted()


def test_a_recipient_the_service_does_not_take_is_refused_for_good() -> None:
    error = failure(adapter_for("json://{recipient}/"), recipient="no host name")
    assert (error.code, error.permanent) == ("bad_recipient", True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "nonsense://host/",
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "macosx://",
        "windows://",
        "mailto://user:pass@example.com",
        "mqtt://host/topic",
        "vapid://a@example.com/x",
        "config://host/path",
        "slack://tooshort",
        "{recipient}://host/",
        "http://example.com/",
        "json://example.com/{{recipient}}",
        "json://example.com/{ recipient }",
        "json://example.com/?to={number}",
        "json://example.com/a\u2028b",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?template=/etc/passwd",
        "fcm://project/device?keyfile=/etc/passwd",
    ],
)
def test_a_service_that_is_unknown_local_or_reads_files_is_refused_when_saved(url: str) -> None:
    with pytest.raises(ValidationError, match="url:"):
        validate_config("apprise", "push", {"url": url})


def test_texts_need_the_recipient_in_the_url() -> None:
    with pytest.raises(ValidationError, match="recipient"):
        validate_config("apprise", "sms", {"url": "json://example.com/"})


def test_no_error_shows_the_secrets_of_the_url(gateway: Gateway) -> None:
    with pytest.raises(ValidationError) as caught:
        validate_config("apprise", "chat", {"url": "wecombot://top secret/key!"})
    assert "secret" not in str(caught.value)
    gateway.script(Answer(status=500))
    error = failure(adapter_for(f"json://user:topsecret@127.0.0.1:{gateway.port}/hiddenpath/"))
    assert "topsecret" not in str(error)
    assert "hiddenpath" not in str(error)


def test_what_the_library_logs_stays_inside(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.script(Answer(status=500))
    with caplog.at_level(logging.DEBUG):
        failure(adapter_for(f"json://user:topsecret@127.0.0.1:{gateway.port}/"))
    assert "topsecret" not in caplog.text


def test_the_requests_library_of_others_is_untouched() -> None:
    assert requests.post.__module__ == "requests.api"


def test_every_offered_service_calls_only_through_the_guard() -> None:
    offered = transport.schemas()
    assert {"wecombot", "dingtalk", "feishu", "slack", "tgram", "bark", "ntfy", "discord", "json"} <= set(offered)
    assert not {"mailto", "syslog", "rsyslog", "irc", "mqtt", "xmpp", "smpp", "aprs", "amqp", "growl", "nostr", "vapid"} & set(offered)
    assert len(offered) > 150
