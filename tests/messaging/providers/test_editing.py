"""A provider that was deleted meanwhile is changed no more, and does not come back."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AuditEntry
from messaging.models import Provider
from messaging.providers import editing
from posthaste.lib.problems import NotFound
from tests.builders import TESTER, make_provider, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


@pytest.mark.parametrize(
    "call",
    [
        lambda provider: editing.change_provider(provider=provider, config=provider.config, fields=["name"], by=TESTER),
        lambda provider: editing.renew_receipt_secret(provider=provider, by=TESTER),
        lambda provider: editing.delete_provider(provider=provider, by=TESTER),
    ],
)
def test_a_provider_that_was_deleted_meanwhile_is_not_found_and_does_not_come_back(call: Callable[[Provider], Any]) -> None:
    provider = make_provider(make_tenant())
    Provider.objects.filter(pk=provider.pk).delete()
    with pytest.raises(NotFound):
        call(provider)
    assert not Provider.objects.exists()
    assert not AuditEntry.objects.filter(actor=str(TESTER)).exists()
