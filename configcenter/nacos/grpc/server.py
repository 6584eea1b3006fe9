"""The port on which clients of Nacos 2 and 3 find the configuration. It lives in the event loop of the ws process."""

from pathlib import Path
from typing import Any

import grpc
import structlog

from configcenter.nacos.grpc import requests, wire
from configcenter.nacos.grpc.certificates import Certificate

log = structlog.get_logger(__name__)
#: A MiB of content as JSON, each character escaped.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
STOP_SECONDS = 0.5
#: A client has a stream open all the time; a connection that says nothing, or has neither stream nor call for this long, is closed.
HANDSHAKE_SECONDS, IDLE_SECONDS = 10, 60
#: A client that answers no ping is gone: its machine was switched off, or its process hangs.
PING_SECONDS, PONG_SECONDS = 60, 20
MAX_CALLS = 100  # of one connection at a time


def _options() -> list[tuple[str, int]]:
    """Return grpcio's settings. Their names: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html."""
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", MAX_CALLS),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1000),
        ("grpc.max_connection_idle_ms", IDLE_SECONDS * 1000),
        ("grpc.keepalive_time_ms", PING_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", PONG_SECONDS * 1000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),  # clients ping each minute; grpcio would end that as an attack
        ("grpc.so_reuseport", 0),
    ]


def _handlers() -> "list[grpc.GenericRpcHandler[Any, Any]]":
    forms: dict[str, Any] = {"request_deserializer": wire.Payload.FromString, "response_serializer": wire.Payload.SerializeToString}
    single = grpc.unary_unary_rpc_method_handler(requests.answer, **forms)
    stream = grpc.stream_stream_rpc_method_handler(requests.connections.serve, **forms)
    return [
        grpc.method_handlers_generic_handler("Request", {"request": single}),
        grpc.method_handlers_generic_handler("BiRequestStream", {"requestBiStream": stream}),
    ]


def certificate_in(chain: str, key: str) -> Certificate | None:
    """Return the certificate in two files; None where none are named."""
    return Certificate(Path(chain), Path(key)) if chain else None


async def start(host: str, port: int, certificate: Certificate | None = None) -> grpc.aio.Server | None:
    """Listen on a port, with TLS where there is a certificate, and return the server; None where it can't, which is logged."""
    server = grpc.aio.server(options=_options())
    server.add_generic_rpc_handlers(tuple(_handlers()))
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if certificate is None:
            server.add_insecure_port(shown)
        else:
            server.add_secure_port(shown, certificate.credentials())
    except OSError as error:
        log.error("Nacos gRPC is off: its certificate can't be used", error=str(error))
        return None
    except RuntimeError as error:
        log.error("Nacos gRPC port not available, clients of Nacos 2 and 3 cannot connect", address=shown, error=str(error))
        return None
    await server.start()
    log.info("Nacos gRPC", address=shown, tls=certificate is not None)
    return server


async def stop(server: grpc.aio.Server) -> None:
    """End the server and its streams."""
    await server.stop(STOP_SECONDS)
