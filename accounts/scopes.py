"""The scopes of API keys: a registry that each app fills in its module `scopes`.

    READ = declare("messages:read", gettext_lazy("read messages, batches and traces"), suggested=True)

An app imports its module when it is ready, so that forms, the API and commands name the scopes of every app.
"""

from enum import Enum
from typing import Any

from django.utils.translation import gettext_lazy

ADMIN = "admin"
#: Scope → what a key with it may do. `admin` stands last and includes all others.
SCOPES: dict[str, Any] = {ADMIN: gettext_lazy("everything, including providers and keys")}
#: The scopes that are ticked when a key is issued in the admin.
SUGGESTED: list[str] = []


class SandboxSafe(Enum):
    """Why a sandbox key may call a method that could change something: see `accounts.api.base.TenantView.sandbox_safe`."""

    READS = "it changes nothing"
    SANDBOX_ONLY = "it changes only what belongs to the sandbox"


def declare(scope: str, text: Any, *, suggested: bool = False) -> str:
    """Add a scope to the registry and return its name.

    Raises:
        ValueError: there is already a scope of this name.
    """
    if scope in SCOPES:
        raise ValueError(f"The scope {scope} is declared twice.")
    SCOPES[scope] = text
    SCOPES[ADMIN] = SCOPES.pop(ADMIN)
    if suggested:
        SUGGESTED.append(scope)
    return scope
