"""How the states of API keys, tenants and people look."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from accounts.models import KeyKind
from posthaste.ui import badges
from posthaste.ui.badges import Look


class KeyState(TextChoices):
    """Whether an API key still works."""

    ACTIVE = "active", _("Active")
    EXPIRED = "expired", _("Expired")
    REVOKED = "revoked", _("Revoked")


class Activity(TextChoices):
    """Whether a tenant or a person may do anything."""

    ACTIVE = "active", _("Active")
    INACTIVE = "inactive", _("Inactive")

    @classmethod
    def of(cls, is_active: bool) -> "Activity":
        """Return the state of something that is active or not."""
        return cls.ACTIVE if is_active else cls.INACTIVE


badges.register(
    "api_key",
    KeyState,
    {
        KeyState.ACTIVE: Look("delivered", "sent"),
        KeyState.EXPIRED: Look("expired", "expired"),
        KeyState.REVOKED: Look("failed", "failed"),
    },
)
badges.register(
    "api_key_kind",
    KeyKind,
    {KeyKind.LIVE: Look("delivered", "sent"), KeyKind.SANDBOX: Look("suppressed", "outbox", _("Sandbox"))},
)
badges.register(
    "activity",
    Activity,
    {Activity.ACTIVE: Look("delivered", "sent"), Activity.INACTIVE: Look("cancelled", "cancelled")},
)
