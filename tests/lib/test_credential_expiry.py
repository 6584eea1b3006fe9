import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from posthaste.lib.credential_expiry import earliest
from tests.peers.certificate import make_certificate

THEN = datetime(2027, 3, 31, 12, tzinfo=UTC)


def token(**claims: Any) -> str:
    """Write a JSON Web Token; its signature is not checked here."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2lnbmF0dXJl"])


@pytest.mark.parametrize("written", ["{}", "Bearer {}", "https://chat.example.com/hook?token={}&x=1"])
def test_a_token_says_when_it_expires_wherever_it_stands(written: str) -> None:
    assert earliest({"headers": {"Authorization": written.format(token(exp=THEN.timestamp()))}}) == THEN


def test_the_first_of_several_counts() -> None:
    later = (THEN + timedelta(days=1)).timestamp()
    assert earliest([token(exp=later), {"deep": [token(exp=int(THEN.timestamp()))]}, token(iss="shop")]) == THEN


@pytest.mark.parametrize("line_end", ["\n", "\r\n", " ", "\\n"])
def test_a_certificate_says_when_it_expires(tmp_path: Path, line_end: str) -> None:
    path, _context = make_certificate(tmp_path)
    found = earliest({"certificate": f"# ours{line_end}{path.read_text().replace(chr(10), line_end)}"})
    assert found is not None
    assert timedelta(days=1) < found - datetime.now(UTC) <= timedelta(days=2)


@pytest.mark.parametrize(
    "text",
    [
        "eyJub.eyJub.x",
        "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiJsYXRlciJ9.x",  # "exp": "later"
        token(exp=1e30),
        token(exp=None),
        "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----",
        "whsec_c2VjcmV0",
        "",
    ],
)
def test_what_says_nothing_of_it_is_left_alone(text: str) -> None:
    assert earliest({"a": text, "b": 1, "c": None, "d": True}) is None
