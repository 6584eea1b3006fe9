"""The header `traceparent`: what is taken from a caller and what is sent on."""

import pytest

from posthaste.lib.ids import new_id
from tracing import w3c

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"),
        (f" 00-{TRACE}-{SPAN}-00 ", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-01"),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", f"00-{TRACE}-{SPAN}-01"),
    ],
)
def test_a_valid_header_is_kept_in_the_form_of_version_00(header: str, taken: str) -> None:
    assert w3c.parent_in(header) == taken


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        "x" * 10_000,
    ],
)
def test_what_is_not_valid_is_as_if_it_had_not_been_sent(header: str) -> None:
    assert w3c.parent_in(header) == ""


def test_what_is_sent_on_is_the_message_as_the_trace_and_the_attempt_as_the_parent() -> None:
    message_id = new_id()
    first, second = (w3c.traceparent(message_id, w3c.attempt_name(number)) for number in (1, 2))
    version, trace_id, span, flags = first.split("-")
    assert (version, trace_id, flags) == ("00", message_id.hex, "01")
    assert int(span, 16) == w3c.span_id(message_id, "attempt 1")
    assert first != second
    assert w3c.parent_in(first) == first
    assert w3c.link_of(first) == (message_id.int, int(span, 16), True)
    assert w3c.traceparent(message_id, "x", is_sampled=False).endswith("-00")
