"""The port on which clients of Nacos 2 and 3 find the configuration. It lives in the event loop of the ws process."""

from typing import Any

import grpc
import structlog

from configcenter.nacos.grpc import requests, wire

log = structlog.get_logger(__name__)
#: A MiB of content as JSON, each character escaped.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
STOP_SECONDS = 0.5


def _handlers() -> "list[grpc.GenericRpcHandler[Any, Any]]":
    forms: dict[str, Any] = {"request_deserializer": wire.Payload.FromString, "response_serializer": wire.Payload.SerializeToString}
    single = grpc.unary_unary_rpc_method_handler(requests.answer, **forms)
    stream = grpc.stream_stream_rpc_method_handler(requests.connections.serve, **forms)
    return [
        grpc.method_handlers_generic_handler("Request", {"request": single}),
        grpc.method_handlers_generic_handler("BiRequestStream", {"requestBiStream": stream}),
    ]


async def start(host: str, port: int) -> grpc.aio.Server | None:
    """Listen on a port and return the server; None where the port is taken, which is logged."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers(tuple(_handlers()))
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        server.add_insecure_port(shown)
    except RuntimeError as error:
        log.error("Nacos gRPC port not available, clients of Nacos 2 and 3 cannot connect", address=shown, error=str(error))
        return None
    await server.start()
    log.info("Nacos gRPC", address=shown)
    return server


async def stop(server: grpc.aio.Server) -> None:
    """End the server and its streams."""
    await server.stop(STOP_SECONDS)
