from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from messaging.channels.base import OutcomeUnknown, ProviderError
from messaging.channels.email import EmailAdapter
from messaging.channels.registry import make_adapter, validate_config
from tests import crowds
from tests.messaging.channels.requests import mail
from tests.peers.certificate import make_certificate
from tests.peers.smtp import DROP, MailServer


@pytest.fixture(params=[True, False], ids=["pipelining", "step by step"])
def server(request: pytest.FixtureRequest) -> Iterator[MailServer]:
    with MailServer(pipelining=request.param) as running:
        yield running


made: list[EmailAdapter] = []


@pytest.fixture(autouse=True)
def _connections_are_closed() -> Iterator[None]:
    yield
    while made:
        made.pop().close()


def adapter_for(server: MailServer, **config: Any) -> EmailAdapter:
    settings = {"host": "127.0.0.1", "port": server.port, "security": "none", "from_email": "shop@example.com", **config}
    adapter = make_adapter("email", validate_config("email", "email", settings))
    assert isinstance(adapter, EmailAdapter)
    made.append(adapter)
    return adapter


def failure(adapter: EmailAdapter, **fields: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        adapter.send(mail(**fields))
    return caught.value


def test_an_email_arrives_with_its_headers(server: MailServer) -> None:
    request = mail(subject="Größe ✓", body="Hello\nAnna")
    accepted = adapter_for(server, from_name="Der Shop", reply_to="help@example.com").send(request)
    message = server.messages[0].message
    assert server.messages[0].recipients == ["anna@example.com"]
    assert message["Subject"] == "Größe ✓"
    assert message["From"] == "Der Shop <shop@example.com>"
    assert message["Reply-To"] == "help@example.com"
    assert message["X-Posthaste-Id"] == request.id.hex
    assert message["Message-ID"] == f"<{accepted.provider_message_id}>" == f"<{request.id.hex}@example.com>"
    assert message.get_content().strip().splitlines() == ["Hello", "Anna"]


def test_the_same_text_goes_to_each_recipient_under_its_own_name(server: MailServer) -> None:
    adapter = adapter_for(server)
    for recipient in ("anna@example.com", "bob@example.com"):
        adapter.send(mail(recipient=recipient, body=".begins with a dot\n.\nand goes on"))
    adapter.send(mail(recipient="cleo@example.com", body="another"))
    assert [entry.recipients for entry in server.messages] == [["anna@example.com"], ["bob@example.com"], ["cleo@example.com"]]
    messages = [entry.message for entry in server.messages]
    assert [message["To"] for message in messages] == ["anna@example.com", "bob@example.com", "cleo@example.com"]
    assert len({message["Message-ID"] for message in messages}) == 3
    assert all(message["Date"] and len(message.get_all("Message-ID", [])) == 1 for message in messages)
    assert [message.get_content().split() for message in messages[:2]] == [[".begins", "with", "a", "dot", ".", "and", "goes", "on"]] * 2
    assert messages[2].get_content().strip() == "another"


def test_html_gets_a_text_alternative(server: MailServer) -> None:
    adapter_for(server).send(mail(body="", html="<h1>Hello</h1><p>Anna &amp; Bob</p>"))
    message = server.messages[0].message
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Anna & Bob" in plain.get_content()
    assert "<h1>Hello</h1>" in html.get_content()


def test_a_given_text_is_kept_beside_html(server: MailServer) -> None:
    adapter_for(server).send(mail(body="Own text", html="<p>Other</p>"))
    plain = server.messages[0].message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().strip() == "Own text"


def test_a_file_that_the_metadata_name_is_attached_and_one_that_fits_no_mail_is_left_out(server: MailServer) -> None:
    files = [
        {"name": "report.csv", "text": "\ufeffDay,Größe\r\n1,2\r\n"},
        {"name": "../x.exe", "text": "x"},
        {"name": "a.txt", "text": 1},
        "no",
    ]
    adapter = adapter_for(server)
    adapter.send(mail(metadata={"mail": {"files": files}}))
    adapter.send(mail(metadata={"mail": {"files": [{"name": "large.csv", "text": "x" * 70_000}]}}))
    first, second = (received.message for received in server.messages)
    (attached,) = first.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("report.csv", "text/csv")
    assert attached.get_content() == "\ufeffDay,Größe\r\n1,2\r\n"
    text = first.get_body()
    assert text is not None
    assert text.get_content().strip() == "A text"
    assert not list(second.iter_attachments())


@pytest.mark.parametrize(
    "fields", [{"subject": "Hi\nBcc: evil@example.com"}, {"subject": "Hi\rX"}, {"recipient": "a@example.com\nBcc: evil@example.com"}]
)
def test_a_line_break_in_a_header_is_refused_for_good(server: MailServer, fields: dict[str, str]) -> None:
    assert failure(adapter_for(server), **fields).permanent
    assert server.messages == []


def test_one_connection_serves_many_messages(server: MailServer) -> None:
    adapter = adapter_for(server)
    for _ in range(5):
        adapter.send(mail())
    assert len(server.messages) == 5
    assert server.connections == 1


def test_threads_share_a_bounded_number_of_connections(server: MailServer) -> None:
    adapter = adapter_for(server, max_connections=3)
    crowds.at_once(*(lambda: adapter.send_many([mail() for _ in range(5)]) for _ in range(12)))
    assert len(server.messages) == 60
    assert server.connections <= 3


def test_a_connection_dropped_while_idle_is_replaced_without_notice(server: MailServer) -> None:
    adapter = adapter_for(server)
    adapter.send(mail())
    server.drop_all()
    adapter.send(mail())
    assert len(server.messages) == 2


def test_a_connection_idle_for_long_is_asked_first(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("messaging.channels.email.CHECK_AFTER_SECONDS", -1.0)
    adapter = adapter_for(server)
    adapter.send(mail())
    adapter.send(mail())
    assert server.connections == 1
    server.drop_all()
    adapter.send(mail())
    assert (len(server.messages), server.connections) == (3, 2)


def test_a_drop_before_the_text_on_a_used_connection_is_tried_once_on_a_new_one(server: MailServer) -> None:
    adapter = adapter_for(server)
    adapter.send(mail())
    server.script("rcpt", DROP)
    adapter.send(mail())
    assert len(server.messages) == 2
    server.script("mail", DROP, times=2)
    error = failure(adapter)
    assert (error.unreachable, error.permanent, type(error)) == (True, False, ProviderError)
    assert len(server.messages) == 2


def test_a_busy_server_that_says_goodbye_is_tried_on_a_new_connection(server: MailServer) -> None:
    adapter = adapter_for(server)
    adapter.send(mail())
    server.script("mail", "421 Too many messages on this connection")
    adapter.send(mail())
    assert (len(server.messages), server.connections) == (2, 2)


def test_a_drop_after_the_text_is_unknown_and_not_sent_again(server: MailServer) -> None:
    adapter = adapter_for(server)
    adapter.send(mail())
    server.script("taken", DROP)
    assert isinstance(failure(adapter), OutcomeUnknown)
    assert len(server.messages) == 2
    adapter.send(mail())
    assert len(server.messages) == 3


@pytest.mark.parametrize(
    ("phase", "reply", "permanent", "unreachable"),
    [
        ("rcpt", "450 Mailbox busy", False, False),
        ("rcpt", "550 No such user", True, False),
        ("data", "451 Try later", False, False),
        ("data", "554 Looks like spam", True, False),
        ("mail", "552 Too large", True, False),
        ("mail", "550 Sender not allowed", False, True),
        ("mail", "451 Try later", False, True),
    ],
)
def test_replies_are_understood(server: MailServer, phase: Any, reply: str, permanent: bool, unreachable: bool) -> None:
    adapter = adapter_for(server)
    server.script(phase, reply)
    error = failure(adapter)
    assert (error.permanent, error.unreachable, type(error)) == (permanent, unreachable, ProviderError)
    adapter.send(mail())
    assert server.connections == 1  # a refusal is no reason to hang up


def test_one_bad_recipient_does_not_harm_the_others(server: MailServer) -> None:
    server.refused["bad@example.com"] = "550 No such user"
    results = adapter_for(server).send_many([mail(), mail(recipient="bad@example.com"), mail()])
    assert [isinstance(result, ProviderError) for result in results] == [False, True, False]
    assert len(server.messages) == 2


def test_a_refused_login_is_the_providers_fault() -> None:
    with MailServer(login=("shop", "right")) as server:
        error = failure(adapter_for(server, username="shop", password="wrong"))
        assert (error.code, error.unreachable, error.permanent) == ("provider_auth", True, False)
        adapter_for(server, username="shop", password="right").send(mail())
        assert len(server.messages) == 1


def test_a_server_that_is_away_is_the_providers_fault() -> None:
    with MailServer() as server:
        adapter = adapter_for(server)
    assert failure(adapter).unreachable


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_tls_is_used_and_the_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, security: str) -> None:
    certificate, context = make_certificate(tmp_path, "127.0.0.1")
    with MailServer(tls=context, implicit_tls=security == "tls") as server:
        assert failure(adapter_for(server, security=security)).code == "tls"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        adapter_for(server, security=security).send(mail())
        assert len(server.messages) == 1


def test_a_server_without_starttls_gets_nothing(server: MailServer) -> None:
    assert failure(adapter_for(server, security="starttls")).unreachable
    assert server.messages == []


@pytest.mark.usefixtures("guarded")
def test_an_inner_address_is_refused(server: MailServer) -> None:
    assert failure(adapter_for(server)).code == "blocked_address"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": ""},
        {"host": "a\nb"},
        {"from_email": "nobody"},
        {"from_name": "A\nB"},
        {"from_name": "A\x85B"},
        {"from_name": "A\u2028B"},
        {"from_email": '"a\x0bb"@example.com'},
        {"reply_to": '"a\x0cb"@example.com'},
        {"username": "me", "password": "a\x00b"},
        {"username": "me"},
        {"timeout_seconds": 60},
        {"security": "ssl"},
        {"port": 0},
    ],
)
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate_config("email", "email", {"host": "smtp.example.com", "from_email": "a@example.com", **wrong})
