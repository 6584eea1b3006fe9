"""The secret part of a link's address: `/l/<code><signature>/`.

The code is random, and only its keyed hash is stored. The signature covers what the link is good for and until when, so that neither a
stolen database nor a changed row makes an address that works. Every key of ENCRYPTION_KEYS is tried, so keys can be rotated.
"""

import hmac
import secrets
import string
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from django.conf import settings

ALPHABET = string.ascii_letters + string.digits
SIGNATURE_CHARACTERS = 12  # 71 bits
MIN_CODE_CHARACTERS, MAX_CODE_CHARACTERS = 6, 32


def new_code(length: int) -> str:
    """Return a random code of letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _position in range(length))


def digest(code: str) -> str:
    """Return the keyed hash under which a code is stored."""
    return digests(code)[0]


def digests(code: str) -> list[str]:
    """Return the keyed hashes under which a code may be stored: one for each key."""
    return [hmac.new(key, b"link code:" + code.encode(), sha256).hexdigest() for key in settings.FIELD_ENCRYPTION_KEYS]


def sign(link_id: UUID, purpose: str, expires_at: datetime) -> str:
    """Return the signature of a new link."""
    return _signature(settings.FIELD_ENCRYPTION_KEYS[0], link_id, purpose, expires_at)


def is_signature(text: str, link_id: UUID, purpose: str, expires_at: datetime) -> bool:
    """Return whether a text is the signature of a link, in constant time."""
    return any(hmac.compare_digest(text, _signature(key, link_id, purpose, expires_at)) for key in settings.FIELD_ENCRYPTION_KEYS)


def _signature(key: bytes, link_id: UUID, purpose: str, expires_at: datetime) -> str:
    said = f"link:{link_id.hex}:{purpose}:{int(expires_at.timestamp())}".encode()
    number = int.from_bytes(hmac.new(key, said, sha256).digest(), "big")
    characters = []
    for _position in range(SIGNATURE_CHARACTERS):
        number, rest = divmod(number, len(ALPHABET))
        characters.append(ALPHABET[rest])
    return "".join(characters)


def split(token: str) -> tuple[str, str] | None:
    """Return code and signature of an address's last part, or None if it has no such form."""
    length = len(token) - SIGNATURE_CHARACTERS
    if not (token.isascii() and token.isalnum() and MIN_CODE_CHARACTERS <= length <= MAX_CODE_CHARACTERS):
        return None
    return token[:length], token[length:]
