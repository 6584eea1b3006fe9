"""When credentials expire, as far as they say so themselves: JSON Web Tokens do, and certificates in PEM form.

Nothing is verified: who enters a credential knows where it comes from, and the server that takes it will check it.
"""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography import x509

#: Header and payload are JSON objects in Base64url, so both begin with `eyJ`.
_TOKEN = re.compile(r"\beyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]*")
#: Its lines may have become one, as in the value of a header or a string of JSON.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----((?:[A-Za-z0-9+/=\s]|\\n)+)-----END CERTIFICATE-----")
_BREAKS = re.compile(r"\s|\\n")


def earliest(values: Any) -> datetime | None:
    """Return when the first of the credentials in a configuration expires; None: none says so.

    `values`: texts, in lists and mappings as deep as they may be.
    """
    found = [at for text in _texts(values) for at in (*_of_tokens(text), *_of_certificates(text))]
    return min(found, default=None)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _of_tokens(text: str) -> Iterator[datetime]:
    for found in _TOKEN.finditer(text):
        payload = found[1]
        try:
            claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            yield datetime.fromtimestamp(claims["exp"], UTC)
        except (ValueError, TypeError, KeyError, OverflowError, OSError):
            continue  # no token after all, or one that does not expire


def _of_certificates(text: str) -> Iterator[datetime]:
    for found in _CERTIFICATE.finditer(text):
        try:
            yield x509.load_der_x509_certificate(base64.b64decode(_BREAKS.sub("", found[1]))).not_valid_after_utc
        except ValueError:
            continue
