"""Encryption at rest for credentials and texts: Fernet (AES-128-CBC + HMAC-SHA256), keys rotated by order."""

from functools import cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

UNREADABLE = "A stored credential can't be decrypted with the keys in ENCRYPTION_KEYS: add the key it was written with."
SEALED_PREFIX = "sealed:"


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
            raise ImproperlyConfigured(UNREADABLE) from None

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else cipher().encrypt(orjson.dumps(value)).decode()

    def value_to_string(self, obj: models.Model) -> str:
        # dumpdata must not turn secrets back into clear text
        return self.get_prep_value(self.value_from_object(obj)) or ""


class Sealed(str):
    """A text that is stored encrypted."""

    __slots__ = ()


class SealableTextField(models.TextField[Any, Any]):
    """A text that the database sees only encrypted where it is `Sealed`, or where the row's attribute `sealed_by` is true.

    Code always sees the text itself. `sealed_by` counts when a row is saved; a queryset's `update` has to be given a `Sealed` text.
    """

    description = "Text, encrypted where its row says so"

    def __init__(self, *args: Any, sealed_by: str, **options: Any) -> None:
        self.sealed_by = sealed_by
        super().__init__(*args, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        return name, path, args, {**options, "sealed_by": self.sealed_by}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        return Sealed(value) if value is not None and getattr(model_instance, self.sealed_by) else value

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str | None:
        if value is None or not value.startswith(SEALED_PREFIX):
            return value
        try:
            return cipher().decrypt(value.removeprefix(SEALED_PREFIX).encode()).decode()
        except InvalidToken:
            raise ImproperlyConfigured(UNREADABLE) from None

    def get_prep_value(self, value: Any) -> str | None:
        # A plain text that looks like a sealed one is sealed too, so that what is read is never ambiguous.
        if value is None or not (isinstance(value, Sealed) or str(value).startswith(SEALED_PREFIX)):
            return None if value is None else str(value)
        return SEALED_PREFIX + cipher().encrypt(str(value).encode()).decode()

    def value_to_string(self, obj: models.Model) -> str:
        # dumpdata must not turn secrets back into clear text
        return self.get_prep_value(self.pre_save(obj, add=False)) or ""

    def to_python(self, value: Any) -> Any:
        # What dumpdata wrote is read back. Other text that begins the same stays as it is.
        if isinstance(value, str) and not isinstance(value, Sealed) and value.startswith(SEALED_PREFIX):
            try:
                return Sealed(self.from_db_value(value, None, None))
            except ImproperlyConfigured:
                return value
        return super().to_python(value)
