"""JSON of other systems: exact where orjson is not, and as strict."""

from typing import Any

import pytest

from posthaste.lib import foreign_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"id": 123456789012345678901234}', {"id": 123456789012345678901234}),
        (b"[[[-98765432109876543210]]]", [[[-98765432109876543210]]]),
        (b"18446744073709551615", 2**64 - 1),
        (b"18446744073709551616", 2**64),
        (b'{"a": 1.5, "b": "1234567890123456789012", "c": 1e3}', {"a": 1.5, "b": "1234567890123456789012", "c": 1000.0}),
        (b'"\\ud83d"', "\ufffd"),
        (b'["\\ud83d\\ude00 \\ude00"]', ["\U0001f600 \ufffd"]),
        (b'{"\\ud800": 123456789012345678901234}', {"\ufffd": 123456789012345678901234}),
    ],
)
def test_what_others_write_is_read_exactly(body: bytes, value: Any) -> None:
    assert foreign_json.loads(body) == value


def test_a_number_too_long_for_an_integer_stays_a_text() -> None:
    assert foreign_json.loads(b"9" * 5_000) == "9" * 5_000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"NaN", b"[1234567890123456789012, NaN]", b"[1234567890123456789012", b"\xff", b'"\\ud83d\xff"', b'"\\ud83d', b"[" * 5_000],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        foreign_json.loads(body)


def test_nesting_that_is_too_deep_is_refused_also_beside_a_long_number() -> None:
    with pytest.raises(ValueError, match=r"."):
        foreign_json.loads(b"[1234567890123456789012, " + b"[" * 100_000)
    with pytest.raises(ValueError, match=r"."):
        foreign_json.loads(b'["\\ud83d", ' + b"[" * 100_000)


def test_a_value_is_written_as_it_was_read() -> None:
    body = b'{"id":123456789012345678901234,"text":"\xc3\xa9"}'
    assert foreign_json.dumps(foreign_json.loads(body)).encode() == body
