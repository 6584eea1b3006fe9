"""W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a caller's request belongs to, and which ours belongs to.

A message begins a trace of its own, whose id is the message's id: a batch of one request has ten thousand messages, and one trace of them
all could not be read. The caller's trace is kept as a link. What is sent to gateways and webhook endpoints carries ours, so that
their spans join it; `tracestate`, which belongs to the caller's, is not sent on.

Span ids are worked out from the message and what the span is, not drawn: the span that is exported later must be the parent that was
sent with the call.
"""

import hashlib
import re
from uuid import UUID

HEADER = "traceparent"
LENGTH = 55
ROOT = "message"  # the span of a message as a whole
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


def parent_in(header: str) -> str:
    """Return the caller's traceparent in the form of version 00, or an empty text where there is none that is valid."""
    found = _FORM.fullmatch(header.strip()) if header else None
    if found is None:
        return ""
    version, trace_id, span_id, flags = found.groups()
    is_longer = len(found[0]) > LENGTH
    if version == "ff" or (version == "00" and is_longer) or trace_id == "0" * 32 or span_id == "0" * 16:
        return ""
    return f"00-{trace_id}-{span_id}-{int(flags, 16) & 1:02x}"


def link_of(traceparent: str) -> tuple[int, int, bool] | None:
    """Return trace id, span id and whether it is sampled of a stored traceparent; None if it is none."""
    found = _FORM.fullmatch(traceparent)
    return (int(found[2], 16), int(found[3], 16), bool(int(found[4], 16) & 1)) if found else None


def span_id(trace_id: UUID, name: str) -> int:
    """Return the id of a span of a trace, 64 bits and never zero."""
    return int.from_bytes(hashlib.blake2b(name.encode(), key=trace_id.bytes, digest_size=8).digest(), "big") or 1


def attempt_name(attempt: int) -> str:
    """Return the name of the span in which a message is sent for the n-th time."""
    return f"attempt {attempt}"


def traceparent(trace_id: UUID, name: str, *, is_sampled: bool = True) -> str:
    """Return what a request carries that is made in the span `name` of a trace."""
    return f"00-{trace_id.hex}-{span_id(trace_id, name):016x}-{int(is_sampled):02x}"
