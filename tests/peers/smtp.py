"""An SMTP server that keeps what it gets and refuses or drops on command.

with MailServer() as server:
    server.script("data", DROP)
    ...
    assert server.messages[0].recipients == ["a@example.com"]
"""

import asyncio
import gc
import ssl
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

DROP = "drop"  # cut the connection instead of an answer
Phase = Literal["mail", "rcpt", "data", "taken"]  # taken: keep the message, then do what is scripted


@dataclass(frozen=True)
class Mail:
    sender: str
    recipients: list[str]
    raw: bytes
    connection: int
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)


class _Session(SMTP):
    def connection_made(self, transport: Any) -> None:
        self.event_handler.connections += 1
        super().connection_made(transport)


class MailServer:
    """The server, in its own thread.

    `login`: user name and password it asks for; `tls`: a context for STARTTLS or TLS;
    `pipelining`: whether it says that it takes several commands at once, which aiosmtpd does anyway.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        pipelining: bool = False,
    ) -> None:
        self.messages: list[Mail] = []
        self.refused: dict[str, str] = {}  # recipient → reply, such as "550 No such user"
        self.connections = 0
        self.on_message: Callable[[Mail], None] | None = None
        self._script: dict[Phase, deque[str]] = {"mail": deque(), "rcpt": deque(), "data": deque(), "taken": deque()}
        self._login = login
        self._pipelining = pipelining
        self._has_tls = tls is not None
        self._controller = _Controller(
            self,
            hostname=host,
            port=port,
            ssl_context=tls if implicit_tls else None,
            tls_context=None if implicit_tls else tls,
            require_starttls=tls is not None and not implicit_tls,
            authenticator=self._authenticate if login else None,
            auth_require_tls=False,
        )

    def script(self, phase: Phase, reply: str, *, times: int = 1) -> None:
        """Return this reply (or DROP) the next times a command of the phase comes."""
        self._script[phase].extend([reply] * times)

    @property
    def host(self) -> str:
        return self._controller.hostname

    @property
    def port(self) -> int:
        return self._controller.bound_port()

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.drop_all()
        self._controller.stop()
        self._controller.sessions.clear()
        if self._has_tls:
            # aiosmtpd leaves transports whose handshake failed to the garbage collector, which would complain in some later test.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == self._login
        return AuthResult(success=good, handled=good)

    def _scripted(self, phase: Phase, server: Any) -> str | None:
        if not self._script[phase]:
            return None
        reply = self._script[phase].popleft()
        if reply == DROP:
            server.transport.abort()
            return "421 Dropped"
        return reply

    # aiosmtpd's hooks.

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:  # noqa: N802
        session.host_name = hostname
        return [responses[0], "250-PIPELINING", *responses[1:]] if self._pipelining else responses

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        reply = self._scripted("mail", server) or ("530 Authentication required" if self._login and not session.authenticated else None)
        if reply is None:
            envelope.mail_from = address
        return reply or "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        reply = self.refused.get(address) or self._scripted("rcpt", server)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        reply = self._scripted("data", server)
        if reply is not None:
            return reply
        mail = Mail(envelope.mail_from, list(envelope.rcpt_tos), envelope.content, id(session), session.ssl is not None)
        self.messages.append(mail)
        if self.on_message is not None:
            self.on_message(mail)
        return self._scripted("taken", server) or "250 Taken"

    def drop_all(self) -> None:
        """Cut every open connection, as a server does with idle ones."""
        self._controller.drop_all()


class _Controller(Controller):
    def __init__(self, server: MailServer, **kwargs: Any) -> None:
        self.sessions: list[Any] = []
        super().__init__(server, **kwargs)

    def factory(self) -> Any:
        session = _Session(self.handler, **self.SMTP_kwargs)
        self.sessions.append(session)
        return session

    def _trigger_server(self) -> None:
        """Aiosmtpd connects to itself here to see an error early, and does not know what port 0 has become."""
        self.port = self.bound_port()
        super()._trigger_server()  # type: ignore[no-untyped-call]
        self.handler.connections = 0

    def bound_port(self) -> int:
        assert isinstance(self.server, asyncio.Server)
        return int(self.server.sockets[0].getsockname()[1])

    def drop_all(self) -> None:
        for session in self.sessions:
            if session.transport is not None:
                self.loop.call_soon_threadsafe(session.transport.abort)
