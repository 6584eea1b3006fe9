"""One connection to a mailbox over IMAP (RFC 9051), through the guard against private addresses."""

import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, Self

from imap_tools import BaseMailBox, ImapToolsError

from posthaste.lib import http
from routing.entrances.email.settings import EmailSettings

SECONDS = 20.0  # for each answer
#: What goes wrong with a server: its answer, its connection, TLS, or no address that may be called.
ERRORS = (ImapToolsError, imaplib.IMAP4.error, OSError, ssl.SSLError, http.OutboundError)
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")


class _Plain(imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return http.client().connect(self.host, self.port, timeout=timeout)


class _Tls(imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        sock = http.client().connect(self.host, self.port, timeout=timeout)
        wrapped: socket.socket = self.ssl_context.wrap_socket(sock, server_hostname=self.host)
        return wrapped


class _Box(BaseMailBox):
    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        own = self._settings
        if own.imap_security == "tls":
            return _Tls(own.imap_host, own.port, ssl_context=ssl.create_default_context(), timeout=SECONDS)
        client = _Plain(own.imap_host, own.port, timeout=SECONDS)
        if own.imap_security == "starttls":
            client.starttls(ssl.create_default_context())
        return client


class Connection:
    """An open mailbox, whose folder is selected. Nothing is changed in it but the mark of what was taken in."""

    def __init__(self, settings: EmailSettings, password: str) -> None:
        self._box = _Box(settings)
        self._folder = settings.imap_folder
        try:
            self._box.login(settings.imap_username, password, initial_folder=settings.imap_folder)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, whatever state it is in."""
        try:
            self._box.client.logout()
        except (imaplib.IMAP4.error, OSError):
            pass

    def state(self) -> tuple[int, int]:
        """Return the folder's UIDVALIDITY and the UID that the next message gets."""
        found = self._box.folder.status(self._folder, ["UIDVALIDITY", "UIDNEXT"])
        return int(found["UIDVALIDITY"]), int(found["UIDNEXT"])

    def after(self, uid: int) -> list[int]:
        """Return the UIDs above one, in order."""
        # `n:*` always names the last message, even if its UID is lower.
        return sorted(found for text in self._box.uids(f"UID {uid + 1}:*") if (found := int(text)) > uid)

    def since(self, day: date) -> list[int]:
        """Return the UIDs of what came on a day or later, in order."""
        return sorted(int(text) for text in self._box.uids(f"SINCE {day.strftime('%d-%b-%Y')}"))

    def size(self, uid: int) -> int:
        """Return the size of a message in bytes; 0: it is gone."""
        found = _SIZE.search(b" ".join(_texts(self._fetch(uid, "RFC822.SIZE"))))
        return int(found[1]) if found else 0

    def content(self, uid: int, *, only_headers: bool = False) -> bytes:
        """Return a message without marking it as read; empty: it is gone."""
        parts = self._fetch(uid, "BODY.PEEK[HEADER]" if only_headers else "BODY.PEEK[]")
        return next((part[1] for part in parts if isinstance(part, tuple)), b"")

    def mark_read(self, uids: Sequence[int]) -> None:
        """Mark messages as read."""
        self._box.client.uid("STORE", ",".join(map(str, uids)), "+FLAGS.SILENT", r"(\Seen)")

    def wait(self, *, seconds: float, is_over: Callable[[], bool]) -> None:
        """Wait until the server tells of something new, at most so long; a server that can't tell is asked after that time."""
        can_tell = "IDLE" in self._box.client.capabilities
        if can_tell:
            self._box.idle.start()
        try:
            for _slice in range(max(1, int(seconds))):
                if is_over() or (can_tell and self._box.idle.poll(timeout=1.0)):
                    return
        finally:
            if can_tell:
                self._box.idle.stop()
            else:
                self._box.client.noop()

    def _fetch(self, uid: int, what: str) -> list[Any]:
        status, parts = self._box.client.uid("FETCH", str(uid), f"({what})")
        if status != "OK":
            raise imaplib.IMAP4.error(f"FETCH answered {status}")
        return [part for part in parts if part is not None]


def _texts(parts: Iterable[Any]) -> list[bytes]:
    return [part[0] if isinstance(part, tuple) else part for part in parts]


def described(error: BaseException) -> str:
    """Return what a server said, in one line and without the password: IMAP errors do not repeat commands."""
    said = " ".join(str(error).replace("b'", "").replace("\\r\\n", " ").split())
    return f"{type(error).__name__}: {said}"[:300]
