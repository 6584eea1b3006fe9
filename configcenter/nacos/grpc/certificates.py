"""The certificate of the gRPC port. A renewed one needs no restart: the files are read again when they were replaced."""

import ssl
from pathlib import Path

import grpc
import structlog

log = structlog.get_logger(__name__)


class Certificate:
    """A certificate chain and its private key, in two PEM files."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain, self._key = chain, key
        self._read_at: tuple[int, int] = (0, 0)

    def credentials(self) -> grpc.ServerCredentials:
        """Return what makes a port one with TLS.

        Raises:
            OSError: a file can't be read, or the two are no certificate and its key.
        """
        return grpc.dynamic_ssl_server_credentials(self._read(), self._replaced)  # type: ignore[arg-type] # None: no change

    def _modified_at(self) -> tuple[int, int]:
        return self._chain.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _read(self) -> grpc.ServerCertificateConfiguration:
        self._read_at = self._modified_at()  # before reading: what is replaced meanwhile is read once more
        # grpcio would only say that it can't listen. A key with a password is refused, not asked for on a terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._chain, self._key, password="")
        return grpc.ssl_server_certificate_configuration([(self._key.read_bytes(), self._chain.read_bytes())])

    def _replaced(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the certificate for a new connection, or None for the one in use. grpcio asks in a thread of its own."""
        try:
            if self._modified_at() == self._read_at:
                return None
            found = self._read()
        except OSError as error:
            log.warning("certificate of the Nacos gRPC port not read again, the old one stays in use", error=str(error))
            return None
        log.info("certificate of the Nacos gRPC port renewed")
        return found
