"""Encryption at rest for credentials and texts: Fernet (AES-128-CBC + HMAC-SHA256), keys rotated by order.

A value that no key decrypts does not keep its row from being read, listed, saved, replaced or deleted: it is kept as it is stored, and
only code that needs it gets an error, `Undecryptable`. Ask `is_lost` first where a row is shown.
"""

from functools import cache
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.query_utils import DeferredAttribute
from django.utils.translation import gettext_lazy

from posthaste.lib.problems import Conflict

SEALED_PREFIX = "sealed:"


class Undecryptable(Conflict, ImproperlyConfigured):
    """A stored value was encrypted with a key that this installation does not have, or was changed since."""

    code = "undecryptable"
    title = gettext_lazy("A stored value can't be decrypted")

    def __init__(self) -> None:
        super().__init__(
            gettext_lazy("It was encrypted with a key that is not in ENCRYPTION_KEYS. Add that key, or replace or delete what is stored.")
        )


class Lost:
    """What is stored in an `EncryptedJSONField` and can't be decrypted."""

    __slots__ = ("stored",)

    def __init__(self, stored: str) -> None:
        self.stored = stored


def is_lost(row: models.Model, name: str) -> bool:
    """Return whether a column of a row can't be decrypted; reads it if it was deferred."""
    try:
        return isinstance(getattr(row, name), LostText)
    except Undecryptable:
        return True


class _Decrypted(DeferredAttribute):
    """A column's value, or `Undecryptable` for code that needs it and can't have it."""

    def __get__(self, instance: models.Model | None, cls: Any = None) -> Any:
        value = super().__get__(instance, cls)
        if isinstance(value, Lost):
            raise Undecryptable
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


@cache
def cipher() -> MultiFernet:
    """Return the cipher: the first configured key encrypts, all of them decrypt."""
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


class EncryptedJSONField(models.TextField[Any, Any]):
    """A JSON value that the database sees only encrypted. It can't be filtered on, on purpose."""

    description = "Encrypted JSON"
    descriptor_class = _Decrypted

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = model_instance.__dict__.get(self.attname)
        return value if isinstance(value, Lost) else super().pre_save(model_instance, add)

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> Any:
        if value is None:
            return None
        try:
            return orjson.loads(cipher().decrypt(value.encode()))
        except (InvalidToken, ValueError):
            return Lost(value)

    def get_prep_value(self, value: Any) -> str | None:
        if isinstance(value, Lost):
            return value.stored
        return None if value is None else cipher().encrypt(orjson.dumps(value)).decode()

    def value_to_string(self, obj: models.Model) -> str:
        # dumpdata must not turn secrets back into clear text
        return self.get_prep_value(self.pre_save(obj, add=False)) or ""


class Sealed(str):
    """A text that is stored encrypted."""

    __slots__ = ()


class LostText(Sealed):
    """What is stored of a text that can't be decrypted. It is no text for readers."""

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
        if value is None or isinstance(value, LostText):
            return value
        return Sealed(value) if getattr(model_instance, self.sealed_by) else value

    def from_db_value(self, value: str | None, _expression: Any, _connection: Any) -> str | None:
        if value is None or not value.startswith(SEALED_PREFIX):
            return value
        try:
            return cipher().decrypt(value.removeprefix(SEALED_PREFIX).encode()).decode()
        except (InvalidToken, ValueError):
            return LostText(value)

    def get_prep_value(self, value: Any) -> str | None:
        # A plain text that looks like a sealed one is sealed too, so that what is read is never ambiguous.
        if isinstance(value, LostText):
            return str(value)
        if value is None or not (isinstance(value, Sealed) or str(value).startswith(SEALED_PREFIX)):
            return None if value is None else str(value)
        return SEALED_PREFIX + cipher().encrypt(str(value).encode()).decode()

    def value_to_string(self, obj: models.Model) -> str:
        # dumpdata must not turn secrets back into clear text
        return self.get_prep_value(self.pre_save(obj, add=False)) or ""

    def to_python(self, value: Any) -> Any:
        # What dumpdata wrote is read back. Other text that begins the same stays as it is.
        if isinstance(value, str) and not isinstance(value, Sealed) and value.startswith(SEALED_PREFIX):
            found = self.from_db_value(value, None, None)
            return value if found is None or isinstance(found, LostText) else Sealed(found)
        return super().to_python(value)
