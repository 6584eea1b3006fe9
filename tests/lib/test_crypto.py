from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from messaging.models import Provider
from posthaste.lib import crypto
from posthaste.lib.crypto import EncryptedJSONField, Lost, Undecryptable, is_lost
from tests.builders import make_tenant

SECRET: Any = {"a": "s3cret"}
Keys = Callable[..., None]
OLD, NEW = Fernet.generate_key(), Fernet.generate_key()


@pytest.fixture
def keys(settings: Any) -> Iterator[Keys]:
    """Return a function that sets the keys in force: `keys(NEW, OLD)`."""

    def use(*some: bytes) -> None:
        settings.FIELD_ENCRYPTION_KEYS = list(some)
        crypto.cipher.cache_clear()

    yield use
    crypto.cipher.cache_clear()


def stored(field: EncryptedJSONField, value: object) -> str:
    text = field.get_prep_value(value)
    assert text is not None
    return text


def test_a_value_comes_back_as_it_was_and_is_not_readable_on_the_way(keys: Keys) -> None:
    keys(NEW)
    field = EncryptedJSONField()
    values: list[Any] = [{"token": "s3cret", "n": [1, 2.5, None, True]}, "text", [], {}, 0, False]
    for value in values:
        text = stored(field, value)
        assert "s3cret" not in text
        assert field.from_db_value(text, None, None) == value
    assert field.get_prep_value(None) is None
    assert field.from_db_value(None, None, None) is None


def test_the_same_value_is_never_stored_alike(keys: Keys) -> None:
    keys(NEW)
    field = EncryptedJSONField()
    assert stored(field, "x") != stored(field, "x")


def test_after_a_rotation_old_values_are_read_and_new_ones_need_the_new_key(keys: Keys) -> None:
    field = EncryptedJSONField()
    keys(OLD)
    before = stored(field, "old secret")
    keys(NEW, OLD)
    assert field.from_db_value(before, None, None) == "old secret"
    after = stored(field, "new secret")
    keys(NEW)
    assert field.from_db_value(after, None, None) == "new secret"
    lost = field.from_db_value(before, None, None)
    assert isinstance(lost, Lost)
    assert field.get_prep_value(lost) == before, "it is stored as it was, for the day when its key is there again"


def test_what_was_tampered_with_is_refused(keys: Keys) -> None:
    keys(NEW)
    field = EncryptedJSONField()
    text = stored(field, "secret")
    changed = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]
    assert isinstance(field.from_db_value(changed, None, None), Lost)


@pytest.mark.django_db
def test_a_row_whose_key_is_lost_is_read_saved_and_keeps_what_is_stored(keys: Keys) -> None:
    keys(OLD)
    Provider.objects.create(tenant=make_tenant(), name="p", channel="sms", kind="sandbox", config=SECRET)
    keys(NEW)
    (row,) = Provider.objects.all()
    with pytest.raises(Undecryptable, match="ENCRYPTION_KEYS"):
        _ = row.config
    assert is_lost(row, "config")
    row.name = "renamed"
    row.save()
    keys(NEW, OLD)
    row = Provider.objects.get()
    assert (row.name, row.config, is_lost(row, "config")) == ("renamed", SECRET, False)


@pytest.mark.django_db
def test_saving_again_moves_a_row_to_the_new_key(keys: Keys) -> None:
    keys(OLD)
    provider = Provider.objects.create(tenant=make_tenant(), name="p", channel="sms", kind="sandbox", config=SECRET)
    keys(NEW, OLD)
    Provider.objects.get(pk=provider.pk).save()
    keys(NEW)
    assert Provider.objects.get(pk=provider.pk).config == SECRET
    with connection.cursor() as cursor:
        cursor.execute("SELECT config FROM messaging_provider")
        assert "s3cret" not in cursor.fetchone()[0]


def test_dumped_data_holds_no_clear_text(keys: Keys) -> None:
    keys(NEW)
    provider = Provider(name="p", channel="sms", kind="sandbox", config=SECRET)
    text = Provider._meta.get_field("config").value_to_string(provider)
    assert "s3cret" not in text
