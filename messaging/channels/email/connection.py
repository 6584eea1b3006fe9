"""SMTP connections: through the guard, with a time limit, in as few round trips as the server allows."""

import re
import smtplib
import socket
import ssl
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from posthaste.lib import deadlines, http

MAX_SECONDS = 25.0
#: Local part and domain that need no quotes (RFC 5321, section 4.1.2: Dot-string and Domain).
PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")


def _path(address: str) -> str:
    """Return an address in angle brackets. Only unusual ones go through smtplib's parser, a tenth of the cost of a mail."""
    return f"<{address}>" if PLAIN.fullmatch(address) else smtplib.quoteaddr(address)


class GuardedSMTP(smtplib.SMTP):
    """An SMTP client that connects through the guard and knows whether the text of a message has begun to leave."""

    content_sent = False

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return http.client().connect(host, port, timeout=timeout)

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = deadlines.reading_file(self.sock)
        reply = super().getreply()
        if reply[0] == 354:  # "go ahead": what follows is the text
            self.content_sent = True
        return reply

    def send(self, s: Any) -> None:
        if self.sock:
            try:
                deadlines.limit_socket(self.sock)
            except TimeoutError:
                self.close()
                raise smtplib.SMTPServerDisconnected("time limit reached") from None
        super().send(s)

    def hand_over(self, sender: str, recipient: str, content: bytes) -> None:
        """Send one message of CRLF lines.

        The envelope takes one round trip if the server supports pipelining (RFC 2920).

        Raises:
            smtplib.SMTPException: as `sendmail`.
        """
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("pipelining"):
            self.sendmail(sender, [recipient], content)
            return
        size = f" SIZE={len(content)}" if self.has_extn("size") else ""
        self.send(f"MAIL FROM:{_path(sender)}{size}\r\nRCPT TO:{_path(recipient)}\r\nDATA\r\n")
        mail, rcpt, data = self.getreply(), self.getreply(), self.getreply()
        refused = self._refusal(sender, recipient, mail, rcpt, data)
        if refused is None:
            self.send(content.replace(b"\r\n.", b"\r\n..") + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"))
            taken = self.getreply()
            if taken[0] == 250:
                return
            refused = smtplib.SMTPDataError(*taken)
        elif data[0] == 354:  # the server waits for the text; end it empty
            self.send(b".\r\n")
            self.getreply()
            self.content_sent = False
        if any(reply[0] == 421 for reply in (mail, rcpt, data)):
            self.close()
        else:
            self.rset()
        raise refused

    @staticmethod
    def _refusal(sender: str, recipient: str, *replies: tuple[int, bytes]) -> smtplib.SMTPException | None:
        mail, rcpt, data = replies
        if mail[0] != 250:
            return smtplib.SMTPSenderRefused(*mail, sender)
        if rcpt[0] not in (250, 251):
            return smtplib.SMTPRecipientsRefused({recipient: rcpt})
        return None if data[0] == 354 else smtplib.SMTPDataError(*data)


class GuardedTLS(GuardedSMTP):
    """The same over TLS from the first byte."""

    default_port = smtplib.SMTP_SSL_PORT

    def __init__(self, *args: Any, context: ssl.SSLContext, **kwargs: Any) -> None:
        self.context = context
        super().__init__(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self.context.wrap_socket(super()._get_socket(host, port, timeout), server_hostname=self._host)  # type: ignore[attr-defined]


class Connection(EmailBackend):
    """Django's SMTP backend, which opens, encrypts and logs in, on a guarded client."""

    used_at = 0.0

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return GuardedTLS if self.use_ssl else GuardedSMTP

    @property
    def content_sent(self) -> bool:
        return isinstance(self.connection, GuardedSMTP) and self.connection.content_sent

    def hand_over(self, sender: str, recipient: str, content: bytes) -> None:
        """Send one message over the open connection."""
        client = self.connection
        if not isinstance(client, GuardedSMTP):
            raise smtplib.SMTPServerDisconnected("not connected")
        client.content_sent = False
        if client.sock is not None:
            deadlines.time_socket(client.sock, self.timeout or MAX_SECONDS)  # the message before may have shrunk it
        client.hand_over(sender, recipient, content)

    def time_by_kernel(self) -> None:
        """Have the kernel watch the time-out from now on; for connections without TLS."""
        if self.connection is not None and self.connection.sock is not None:
            deadlines.time_by_kernel(self.connection.sock, self.timeout or MAX_SECONDS)

    def is_alive(self) -> bool:
        """Ask the server."""
        try:
            return self.connection is not None and self.connection.noop()[0] == 250
        except (smtplib.SMTPException, OSError):
            return False

    def discard(self) -> None:
        """Drop the connection without a farewell, which a stuck server would make us wait for."""
        for connection in (self.connection, self._partial_connection):  # type: ignore[has-type]
            if connection is not None:
                connection.close()
        self.connection = self._partial_connection = None
