"""Traces as OpenTelemetry spans, sent to an OTLP/HTTP receiver.

Needs the packages of requirements-otel.txt, which are imported when the first trace is exported: installations that export none neither
need nor load them.

A trace is one message. Its root span reaches from acceptance to the end; below it lie the spans of waiting, one for each attempt with the
calls of providers in it, and one for the receipt. Their ids are worked out (`tracing.w3c`), so a trace that is exported again, as after a
crash, is the same one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from posthaste import env
from tracing import selectors, w3c
from tracing.descriptions import described
from tracing.labels import SpanKind
from tracing.timeline import Span
from tracing.traces import Trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TIMEOUT_SECONDS = 5
REFUSED = frozenset({400, 413, 422})  # answers to what is sent, which would be the same the next time
SERVICE = "posthaste"
#: Events that become spans, and say nothing more as events.
IN_SPANS = frozenset("ACGQSE")


class ExportFailed(Exception):
    """The receiver did not take the spans; they are sent again."""


class ExportRefused(Exception):
    """The receiver can't take these spans; sent again, they would be refused again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A trace to export: what the message's row tells as attributes, and the caller's own trace (a traceparent)."""

    trace: Trace
    name: str
    attributes: Mapping[str, str | int | bool] = field(default_factory=dict)
    parent: str = ""
    receipt_only: bool = False


class _Exporter:
    """OpenTelemetry's exporter, which tells only whether an export succeeded, and the status of the last answer beside it."""

    def __init__(self, endpoint: str, headers: tuple[tuple[str, str], ...]) -> None:
        import requests  # an extra: see above
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        session = requests.Session()
        session.hooks["response"].append(self._note)
        self.status: int | None = None
        self.exporter = OTLPSpanExporter(endpoint=endpoint, headers=dict(headers), timeout=TIMEOUT_SECONDS, session=session)

    def _note(self, response: Any, *_args: Any, **_options: Any) -> None:
        self.status = response.status_code

    def export(self, spans: Sequence[Any]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult  # an extra: see above

        self.status = None
        return bool(self.exporter.export(spans) is SpanExportResult.SUCCESS)


@cache
def _exporter(endpoint: str, headers: tuple[tuple[str, str], ...]) -> _Exporter:
    return _Exporter(endpoint, headers)


def export(ended: Sequence[Ended]) -> int:
    """Send traces in one request and return the number of spans.

    Raises:
        ExportFailed: the receiver is away, or does not let us in.
        ExportRefused: the receiver can't take these traces.
    """
    spans = [span for one in ended for span in spans_of(one)]
    if not spans:
        return 0
    settings = env.load()
    headers = tuple(tuple(header.split("=", 1)) for header in settings.otlp_headers)
    exporter = _exporter(settings.otlp_endpoint, headers)
    if exporter.export(spans):
        return len(spans)
    raise (ExportRefused if exporter.status in REFUSED else ExportFailed)(settings.otlp_endpoint)


def spans_of(ended: Ended) -> "list[ReadableSpan]":
    """Return the spans of one trace."""
    return list(_Builder(ended).spans())


class _Builder:
    def __init__(self, ended: Ended) -> None:
        self.ended, self.trace = ended, ended.trace
        self.id = ended.trace.times.message_id

    def spans(self) -> "Iterator[ReadableSpan]":
        if not self.ended.receipt_only:
            yield self._root()
        attempts: dict[tuple[int, int], list[Span]] = {}
        for number, span in enumerate(self.trace.spans):
            if span.kind == SpanKind.CALLBACK:
                yield self._span("receipt", f"callback {span.run}", span.start_ms, span.end_ms, status=self.trace.times.status)
            elif self.ended.receipt_only or span.kind == SpanKind.ENDED:
                continue
            elif span.kind in (SpanKind.PROCESS, SpanKind.SEND) and span.attempt:
                attempts.setdefault((span.run, span.attempt), []).append(span)
            else:
                yield self._span(span.kind.value, f"{span.kind.value} {number}", span.start_ms, span.end_ms)
        for (run, attempt), parts in attempts.items():
            yield from self._attempt(run, attempt, parts)

    def _attempt(self, run: int, attempt: int, parts: list[Span]) -> "Iterator[ReadableSpan]":
        # The first run has the name that is sent to the provider with the call.
        name = w3c.attempt_name(attempt) if run == 1 else f"{w3c.attempt_name(attempt)} run {run}"
        failed = next((part.code for part in reversed(parts) if part.kind == SpanKind.SEND), "")
        yield self._span(f"attempt {attempt}", name, parts[0].start_ms, parts[-1].end_ms, error=failed)
        for number, part in enumerate(parts):
            if part.kind == SpanKind.SEND:
                yield self._span(
                    f"send {part.provider}",
                    f"{name} send {number}",
                    part.start_ms,
                    part.end_ms,
                    parent=name,
                    error=part.code,
                    provider=part.provider,
                    is_client=True,
                )

    def _nanoseconds(self, offset_ms: int) -> int:
        return int(selectors.at(self.id, offset_ms).timestamp() * 1000) * 1_000_000

    def _context(self, span_id: int) -> Any:
        from opentelemetry.trace import SpanContext, TraceFlags  # an extra: see above

        return SpanContext(self.id.int, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def _root(self) -> "ReadableSpan":
        from opentelemetry import trace as api  # an extra: see above
        from opentelemetry.sdk.trace import Event

        times = self.trace.times
        events = []
        for event in self.trace.events:
            if event.code in IN_SPANS:
                continue
            told = described(self.id, event)
            name = str(told.pop("event"))
            attributes = {key: value for key, value in told.items() if isinstance(value, str | int) and key != "offset_ms"}
            events.append(Event(name, attributes=attributes, timestamp=self._nanoseconds(event.at_ms)))
        links = []
        if parent := w3c.link_of(self.ended.parent):
            flags = api.TraceFlags(api.TraceFlags.SAMPLED if parent[2] else api.TraceFlags.DEFAULT)
            links.append(api.Link(api.SpanContext(parent[0], parent[1], is_remote=True, trace_flags=flags)))
        end_ms = max((span.end_ms for span in self.trace.spans if span.kind != SpanKind.CALLBACK), default=0)
        error = times.error_code or times.status if times.has_failed else ""
        return self._made(
            self.ended.name,
            w3c.span_id(self.id, w3c.ROOT),
            0,
            end_ms,
            parent=None,
            kind=api.SpanKind.PRODUCER,
            attributes=dict(self.ended.attributes),
            error=error,
            events=events,
            links=links,
        )

    def _span(
        self,
        name: str,
        id_of: str,
        start_ms: int,
        end_ms: int,
        *,
        parent: str = w3c.ROOT,
        error: str = "",
        provider: str = "",
        status: str = "",
        is_client: bool = False,
    ) -> "ReadableSpan":
        from opentelemetry import trace as api  # an extra: see above

        attributes = {key: value for key, value in (("posthaste.provider", provider), ("posthaste.status", status)) if value}
        return self._made(
            name,
            w3c.span_id(self.id, id_of),
            start_ms,
            end_ms,
            parent=self._context(w3c.span_id(self.id, parent)),
            kind=api.SpanKind.CLIENT if is_client else api.SpanKind.INTERNAL,
            attributes=attributes,
            error=error,
        )

    def _made(
        self,
        name: str,
        span_id: int,
        start_ms: int,
        end_ms: int,
        *,
        parent: Any,
        kind: Any,
        attributes: dict[str, Any],
        error: str,
        events: Sequence[Any] = (),
        links: Sequence[Any] = (),
    ) -> "ReadableSpan":
        from opentelemetry.sdk.resources import Resource  # an extra: see above
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import Status, StatusCode

        if error:
            attributes = {**attributes, "error.type": error}
        return ReadableSpan(
            name=name,
            context=self._context(span_id),
            parent=parent,
            resource=Resource({"service.name": SERVICE}),
            attributes=attributes,
            events=events,
            links=links,
            kind=kind,
            status=Status(StatusCode.ERROR, error) if error else Status(StatusCode.UNSET),
            start_time=self._nanoseconds(start_ms),
            end_time=self._nanoseconds(end_ms),
            instrumentation_scope=InstrumentationScope(SERVICE),
        )
