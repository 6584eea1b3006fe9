"""Nacos' gRPC protocol for configuration, which clients of Nacos 2 and 3 speak, on the port 1000 above that of the HTTP API.

    wire          the one message type, and the JSON inside it; no I/O
    connections   the streams over which clients are told of changes
    requests      what is asked for and answered
    certificates  TLS of the port
    server        the port
    entrance      the port before the first client, when none of the others is loaded

Reference: `nacos_grpc_service.proto` of https://github.com/alibaba/nacos (api module), and the client `nacos-sdk-python`.
"""
