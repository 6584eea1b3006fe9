"""What the parts of the pages that are looked at share."""

from dataclasses import dataclass

import pytest

from accounts.models import Tenant
from messaging.models import Message


@dataclass(frozen=True, slots=True)
class Scene:
    """The demo's tenant, a letter of it that was sent, and what ends with the test."""

    tenant: Tenant
    letter: Message
    monkeypatch: pytest.MonkeyPatch
