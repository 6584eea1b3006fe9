"""Encryption at rest for credentials: Fernet (AES-128-CBC + HMAC-SHA256), keys rotated by order."""

from functools import cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


@cache
def cipher() -> MultiFernet:
    """Return the cipher: the first configured key encrypts, all of them decrypt."""
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


class EncryptedJSONField(models.TextField[Any, Any]):
    """A JSON value that the database sees only encrypted. It can't be filtered on, on purpose."""

    description = "Encrypted JSON"

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> Any:
        if value is None:
            return None
        try:
            return orjson.loads(cipher().decrypt(value.encode()))
        except InvalidToken:
            raise ImproperlyConfigured(
                "A stored credential can't be decrypted with the keys in ENCRYPTION_KEYS: add the key it was written with."
            ) from None

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else cipher().encrypt(orjson.dumps(value)).decode()

    def value_to_string(self, obj: models.Model) -> str:
        # dumpdata must not turn secrets back into clear text
        return self.get_prep_value(self.value_from_object(obj)) or ""
