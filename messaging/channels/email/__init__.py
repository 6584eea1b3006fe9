"""E-mail over SMTP on connections that stay open; the mails are composed by Django."""

import queue
import smtplib
import ssl
import threading
import time
from dataclasses import dataclass
from typing import Literal, Self

import structlog
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, field_validator, model_validator

from messaging.channels.base import (
    Accepted,
    Adapter,
    CannotCompose,
    CredentialConfig,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    SendRequest,
    TlsServer,
)
from messaging.channels.email.compose import compose
from messaging.channels.email.connection import Connection
from messaging.channels.email.files import files_of
from messaging.channels.email.replies import is_about_login, login_refused, refusal
from messaging.channels.email.thread_headers import threading_of
from messaging.channels.recipients import normalise_recipient
from posthaste.lib import deadlines, http
from posthaste.lib.control_characters import find_control

log = structlog.get_logger(__name__)
DEFAULT_PORTS = {"none": 25, "starttls": 587, "tls": 465}
#: An open connection idle for longer is asked whether it still lives; most servers drop after 30 s to 5 min.
CHECK_AFTER_SECONDS = 20.0


class EmailConfig(CredentialConfig):
    """An SMTP server and the sender."""

    host: str = Field(min_length=1, max_length=253, description=_("Host name of the SMTP server."))
    port: int | None = Field(None, ge=1, le=65535, description=_("Empty: 587 with starttls, 465 with tls, 25 with none."))
    username: str = Field("", max_length=320, description=_("Empty: no login."))
    password: SecretStr = Field(SecretStr(""), description=_("Password or token of the login."))
    security: Literal["none", "starttls", "tls"] = Field("starttls", description=_("Encryption of the connection."))
    from_email: str = Field(description=_("Address of the sender."))
    from_name: str = Field("", max_length=128, description=_("Name of the sender."))
    reply_to: str = Field("", description=_("Address for answers. Empty: the sender."))
    timeout_seconds: float = Field(15.0, ge=1, le=25, description=_("Maximum time for one message."))
    max_connections: int = Field(10, ge=1, le=50, description=_("Open connections per process."))

    @field_validator("from_email", "reply_to")
    @classmethod
    def addresses_are_valid(cls, value: str) -> str:
        return normalise_recipient("email", value) if value else value

    @field_validator("host", "from_name", "username")
    @classmethod
    def one_line(cls, value: str) -> str:
        if value and not value.isprintable():
            raise ValueError(gettext("Must be one line of printable characters."))
        return value.strip()

    @field_validator("password")
    @classmethod
    def password_is_printable(cls, value: SecretStr) -> SecretStr:
        if find_control(value.get_secret_value()):
            raise ValueError(gettext("Must be one line of printable characters."))
        return value

    @model_validator(mode="after")
    def password_goes_with_username(self) -> Self:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError(gettext("Give both username and password, or neither."))
        return self


@dataclass(frozen=True, slots=True)
class Mail:
    """A composed mail and its recipient."""

    message_id: str
    recipient: str
    content: bytes


class EmailAdapter(Adapter):
    kind = "email"
    title = gettext_lazy("E-mail (SMTP)")
    channels = frozenset({"email"})
    Config = EmailConfig

    chunk_size = 20
    config: EmailConfig

    def __init__(self, config: EmailConfig) -> None:
        super().__init__(config)
        self.concurrency = config.max_connections
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self._slots = threading.BoundedSemaphore(config.max_connections)
        self._domain = config.from_email.rpartition("@")[2]

    def tls_server(self) -> TlsServer | None:
        security = self.config.security
        if security == "none":
            return None
        return TlsServer(self.config.host, self.config.port or DEFAULT_PORTS[security], starttls=security == "starttls")

    def compose(self, request: SendRequest) -> Mail:
        message_id = f"{request.id.hex}@{self._domain}"
        heads = {"Message-ID": f"<{message_id}>", "X-Posthaste-Id": request.id.hex}
        if request.unsubscribe_url:  # RFC 8058; the mail server's DKIM signature should cover both
            heads |= {"List-Unsubscribe": f"<{request.unsubscribe_url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        thread = threading_of(request.metadata)
        content = compose(
            from_name=self.config.from_name,
            from_email=self.config.from_email,
            reply_to=thread.reply_to or self.config.reply_to,
            recipient=request.recipient,
            subject=request.subject,
            body=request.body,
            html=request.html,
            heads=heads,
            folded=thread.headers,
            by_hand=thread.by_hand,
            files=files_of(request.metadata),
        )
        return Mail(message_id, request.recipient, content)

    def hand_over(self, composed: Mail) -> Accepted:
        if not self._slots.acquire(timeout=self.config.timeout_seconds):
            raise ProviderError("busy", "All connections to the mail server are in use.")
        try:
            with deadlines.time_limit(self.config.timeout_seconds):
                self._deliver(composed.recipient, composed.content)
        finally:
            self._slots.release()
        return Accepted(composed.message_id)

    def _deliver(self, recipient: str, content: bytes) -> None:
        connection, reused = self._take()
        try:
            self._send_on(connection, recipient, content)
        except _Dropped as dropped:
            # A server may close an idle connection at any moment. Nothing of the message has left, so a new
            # connection may take it; only once, or a server that always drops would keep us here.
            if not reused:
                raise dropped.error from None
            fresh = self._new()
            try:
                self._send_on(fresh, recipient, content)
            except _Dropped as again:
                raise again.error from None

    def _take(self) -> tuple[Connection, bool]:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return self._new(), False
            if time.monotonic() - connection.used_at < CHECK_AFTER_SECONDS or connection.is_alive():
                return connection, True
            connection.discard()

    def _new(self) -> Connection:
        config = self.config
        for name, text in (("username", config.username), ("password", config.password.get_secret_value())):
            if not text.isascii():  # smtplib's logins are ASCII
                raise Misconfigured(f"The {name} contains characters that are not ASCII, which can't be used to log in.", field=name)
        connection = Connection(
            host=config.host,
            port=config.port or DEFAULT_PORTS[config.security],
            username=config.username,
            password=config.password.get_secret_value(),
            use_tls=config.security == "starttls",
            use_ssl=config.security == "tls",
            timeout=config.timeout_seconds,
        )
        try:
            connection.open()
        except Exception as error:  # noqa: BLE001
            connection.discard()  # nothing of the message has left, whatever it was
            raise _opening_error(error) from None
        if config.security == "none":
            connection.time_by_kernel()
        return connection

    def _send_on(self, connection: Connection, recipient: str, content: bytes) -> None:
        try:
            connection.hand_over(self.config.from_email, recipient, content)
        except Exception as error:  # noqa: BLE001 - what it means depends on what has left
            unknown = connection.content_sent and not isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused)
            usable = connection.connection is not None and connection.connection.sock is not None and _is_answer(error)
            if usable:
                self._put_back(connection)
            else:
                connection.discard()
            if unknown:
                raise OutcomeUnknown("connection_lost", "The connection broke after the text of the message had begun to leave.") from None
            raise _sending_error(error) from None
        self._put_back(connection)

    def _put_back(self, connection: Connection) -> None:
        connection.used_at = time.monotonic()
        self._idle.put(connection)

    def close(self) -> None:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return
            connection.discard()


class _Dropped(Exception):
    """The connection ended before the text of the message; `error` is what to say if it cannot be tried again."""

    def __init__(self, error: ProviderError) -> None:
        self.error = error


def _is_answer(error: Exception) -> bool:
    return isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused)


def _text(reply: bytes | str) -> str:
    return (reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply))[:500]


def _opening_error(error: Exception) -> ProviderError:
    match error:
        case http.OutboundError():
            return ProviderError(error.code, error.detail, unreachable=True)
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= 500:  # 454 is said to pass
            return login_refused(error.smtp_code, _text(error.smtp_error))
        case smtplib.SMTPResponseException():
            return ProviderError(f"smtp_{error.smtp_code}", _text(error.smtp_error), unreachable=True)
        case smtplib.SMTPNotSupportedError():
            return ProviderError("smtp_unsupported", str(error), unreachable=True)
        case ssl.SSLError():
            return ProviderError("tls", f"TLS with the mail server failed: {error.reason or error}", unreachable=True)
        case smtplib.SMTPException() | OSError():
            return ProviderError("connection_lost", f"The mail server broke off the greeting: {error}", unreachable=True)
    log.error("the connection to a mail server could not be opened", error=type(error).__name__)
    return Misconfigured(f"The connection could not be opened with this configuration: {error}", field="host")


def _sending_error(error: Exception) -> ProviderError | _Dropped:
    match error:
        case smtplib.SMTPRecipientsRefused():
            code, reply = next(iter(error.recipients.values()))
            return refusal(code, _text(reply), content_was_seen=False)
        case smtplib.SMTPSenderRefused(smtp_code=421) | smtplib.SMTPServerDisconnected():
            return _Dropped(ProviderError("connection_lost", "The mail server closed the connection.", unreachable=True))
        case smtplib.SMTPSenderRefused() if error.smtp_code not in (523, 552):  # those two: the message is too large
            # The sender is the provider's configuration: no fault of the message.
            if is_about_login(error.smtp_code, _text(error.smtp_error)):
                return login_refused(error.smtp_code, _text(error.smtp_error))
            return ProviderError("sender_refused", f"{error.smtp_code} {_text(error.smtp_error)}", unreachable=True)
        case smtplib.SMTPResponseException():
            return refusal(error.smtp_code, _text(error.smtp_error), content_was_seen=True)
        case smtplib.SMTPException() | OSError():
            return _Dropped(ProviderError("connection_lost", str(error), unreachable=True))
    return CannotCompose("bad_message", f"{type(error).__name__}: {error}")
