"""An OTLP/HTTP receiver: it decodes what it is sent with OpenTelemetry's own protobuf messages, keeps the spans, and fails on command."""

import gzip
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.peers.gateway import Answer, Gateway


class OtlpReceiver(Gateway):
    """The server, in a thread of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.spans: list[Span] = []
        self.requests: list[dict[str, str]] = []  # the headers of each
        self.refuses = 0  # with this status
        self.hangs = False
        self.dies = False  # after it has taken them
        self.refused_trace = ""  # requests with spans of this trace are refused for good

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/v1/traces"

    def of_trace(self, trace_id: str) -> dict[str, Span]:
        """Return the spans of a trace by name; the latest of each id."""
        return {span.name: span for span in self.spans if span.trace_id.hex() == trace_id}

    def handle(self, method: str, target: str, headers: dict[str, str], content: bytes) -> Answer:
        if target != "/v1/traces":
            return Answer(status=404)
        self.requests.append(headers)
        if self.hangs:
            return Answer(action="hang", taken=False)
        if self.refuses:
            return Answer(status=self.refuses)
        body = gzip.decompress(content) if headers.get("content-encoding") == "gzip" else content
        request = ExportTraceServiceRequest.FromString(body)
        spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        if self.refused_trace in {span.trace_id.hex() for span in spans}:
            return Answer(status=400)
        self.spans += spans
        if self.dies:
            return Answer(action="reset")
        return Answer(status=200, body={})
