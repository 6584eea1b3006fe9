"""Signature and encryption of callbacks, known as WXBizMsgCrypt (https://developer.work.weixin.qq.com/document/path/90968).

    crypt = MessageCrypt(token=…, encoding_aes_key=…, receive_ids=(corp_id,))
    echo = crypt.decrypt_signed(echostr, signature=msg_signature, timestamp=timestamp, nonce=nonce)  # the check of the address
    plain = crypt.open_body(request.body, signature=msg_signature, timestamp=timestamp, nonce=nonce)

The signature is the SHA-1 of token, timestamp, nonce and ciphertext, sorted and joined. The key is AES-256 in CBC mode with the first
half of the key as IV. The plaintext is 16 random bytes, the length of the message in 4 bytes, the message, and the id of the receiver,
padded to a multiple of 32 as in PKCS#7. The id is the corp id, or for a third-party application the suite id.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from django.utils.translation import gettext

from routing.wecom import documents

BLOCK_BYTES = 32  # of the padding; AES itself has 16
RANDOM_BYTES = 16
LENGTH_BYTES = 4
AES_KEY = re.compile(r"[A-Za-z0-9+/]{43}")


class CryptError(Exception):
    """A callback that is not from WeCom, or not for this entrance; the message has nothing of its content."""


class BadSignature(CryptError):
    """The signature does not fit: another token, or a forged request."""


class Unreadable(CryptError):
    """The signature fits, but the content can't be decrypted: another key."""


class WrongReceiver(CryptError):
    """The content was encrypted for another company or application."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted reply."""

    encrypted: str
    signature: str
    timestamp: str
    nonce: str

    def as_xml(self) -> str:
        """Return the body of the answer to a callback in XML."""
        return (
            f"<xml><Encrypt><![CDATA[{self.encrypted}]]></Encrypt><MsgSignature><![CDATA[{self.signature}]]></MsgSignature>"
            f"<TimeStamp>{self.timestamp}</TimeStamp><Nonce><![CDATA[{self.nonce}]]></Nonce></xml>"
        )

    def as_json(self) -> bytes:
        """Return the body of the answer to a callback in JSON."""
        said = {"encrypt": self.encrypted, "msgsignature": self.signature, "timestamp": int(self.timestamp), "nonce": self.nonce}
        return orjson.dumps(said)


def aes_key(encoding_aes_key: str) -> bytes:
    """Return the 32 bytes of an EncodingAESKey.

    Raises:
        ValueError: with a sentence for the administrator.
    """
    if not AES_KEY.fullmatch(encoding_aes_key):
        raise ValueError(gettext("The EncodingAESKey has exactly 43 letters and digits. Copy it from WeCom's admin console."))
    return base64.b64decode(encoding_aes_key + "=")


@dataclass(frozen=True, kw_only=True)
class MessageCrypt:
    """What an entrance and WeCom have in common. `receive_ids`: whose callbacks are taken; replies are encrypted for the first."""

    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)
    receive_ids: tuple[str, ...]
    key: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.token or not self.receive_ids:
            raise ValueError(gettext("A callback needs a token and the id of the company."))
        object.__setattr__(self, "key", aes_key(self.encoding_aes_key))

    def sign(self, *parts: str) -> str:
        """Return the signature of timestamp, nonce and ciphertext."""
        return hashlib.sha1("".join(sorted((self.token, *parts))).encode(), usedforsecurity=False).hexdigest()

    def decrypt_signed(self, encrypted: str, *, signature: str, timestamp: str, nonce: str) -> bytes:
        """Check a signature and return the message of a ciphertext; the `echostr` with which WeCom checks an address is one, too.

        Raises:
            CryptError: It is not from WeCom, or not for these receivers.
        """
        if not hmac.compare_digest(self.sign(timestamp, nonce, encrypted).encode(), signature.encode()):
            raise BadSignature("The signature does not fit.")
        return self._opened(encrypted)

    def open_body(self, body: bytes, *, signature: str, timestamp: str, nonce: str) -> bytes:
        """Return the message in the body of a callback, XML or JSON as the body is.

        Raises:
            CryptError: It is not from WeCom, or not for these receivers.
            documents.BadDocument: The body is neither XML nor JSON, or has no ciphertext.
        """
        outer = documents.read(body)
        encrypted = outer.get("Encrypt") or outer.get("encrypt")
        if not isinstance(encrypted, str):
            raise documents.BadDocument("The body has no ciphertext.")
        return self.decrypt_signed(encrypted, signature=signature, timestamp=timestamp, nonce=nonce)

    def seal(self, message: bytes, *, timestamp: str, nonce: str, random: bytes | None = None) -> Sealed:
        """Return a message encrypted and signed. `random`: 16 bytes to begin with, for known answers."""
        head = os.urandom(RANDOM_BYTES) if random is None else random
        plain = head + len(message).to_bytes(LENGTH_BYTES, "big") + message + self.receive_ids[0].encode()
        missing = BLOCK_BYTES - len(plain) % BLOCK_BYTES
        encryptor = self._cipher().encryptor()
        sealed = encryptor.update(plain + bytes([missing]) * missing) + encryptor.finalize()
        encrypted = base64.b64encode(sealed).decode()
        return Sealed(encrypted, self.sign(timestamp, nonce, encrypted), timestamp, nonce)

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self.key), modes.CBC(self.key[:16]))

    def _opened(self, encrypted: str) -> bytes:
        try:
            sealed = base64.b64decode(encrypted, validate=True)
        except (binascii.Error, ValueError):
            raise Unreadable("The ciphertext is not Base64.") from None
        if not sealed or len(sealed) % 16:
            raise Unreadable("The ciphertext has no whole number of blocks.")
        decryptor = self._cipher().decryptor()
        plain = _without_padding(decryptor.update(sealed) + decryptor.finalize())
        begin = RANDOM_BYTES + LENGTH_BYTES
        length = int.from_bytes(plain[RANDOM_BYTES:begin], "big")
        # With another key the length is any number; a slice would be silently shorter than it says.
        if len(plain) < begin or length > len(plain) - begin:
            raise Unreadable("The length of the message does not fit.")
        if not _is_one_of(plain[begin + length :], self.receive_ids):
            raise WrongReceiver("Encrypted for another company or application.")
        return plain[begin : begin + length]


def _without_padding(padded: bytes) -> bytes:
    number = padded[-1]
    if not 1 <= number <= BLOCK_BYTES or padded[-number:] != bytes([number]) * number:
        raise Unreadable("The padding does not fit.")
    return padded[:-number]


def _is_one_of(found: bytes, receive_ids: Iterable[str]) -> bool:
    return any(hmac.compare_digest(found, known.encode()) for known in receive_ids)
