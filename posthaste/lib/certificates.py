"""When the certificate of a server expires, also one that is no longer valid or whose issuer is unknown."""

import smtplib
import socket
import ssl
from datetime import datetime

from cryptography import x509

from posthaste.lib import http
from posthaste.lib.deadlines import time_limit


def expires_at(host: str, port: int, *, starttls: bool = False, seconds: float = 5.0) -> datetime:
    """Connect through the guard, shake hands without checking the certificate, and return when it expires. Nothing else is sent.

    `starttls`: the server speaks SMTP and encrypts when asked to.

    Raises:
        posthaste.lib.guard.OutboundError: the server may not or can't be reached.
        OSError, ValueError: no handshake, or no certificate that can be read.
    """
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # an expired one has to be read, too
    with time_limit(seconds):
        sock = http.client().connect(host, port, timeout=seconds)
        try:
            sock.settimeout(seconds)
            if starttls:
                sock = _encrypted_smtp(sock, context, host)
            else:
                sock = context.wrap_socket(sock, server_hostname=host)
            certificate = sock.getpeercert(binary_form=True)
        finally:
            sock.close()
    if not certificate:
        raise ValueError(f"{host}:{port} shows no certificate")
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc


class _Smtp(smtplib.SMTP):
    """A client on a connection that is there already."""

    def __init__(self, sock: socket.socket, host: str) -> None:
        super().__init__(timeout=sock.gettimeout() or 5.0)
        self.sock = sock
        self._host = host  # where smtplib looks for the name in the handshake


def _encrypted_smtp(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    client = _Smtp(sock, host)
    client.getreply()
    try:
        client.starttls(context=context)
    except smtplib.SMTPException as error:
        raise ValueError(f"{host} does not encrypt: {type(error).__name__}") from None
    assert isinstance(client.sock, ssl.SSLSocket)
    return client.sock
