"""How the states of configuration and of the processes that run it look."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from posthaste.ui import badges
from posthaste.ui.badges import Look


class ItemState(TextChoices):
    """What there is of a module or an item."""

    IN_FORCE = "in_force", _("In force")
    GRAY = "gray", _("Gray release")
    DRAFT = "draft", _("Draft")
    DEFAULTS = "defaults", _("Defaults")
    UNPUBLISHED = "unpublished", _("Not published")


class InstanceState(TextChoices):
    """How far a process has come with what was published."""

    APPLIED = "applied", _("Applied")
    BEHIND = "behind", _("Behind")
    SNAPSHOT = "snapshot", _("From its snapshot")
    REFUSED = "refused", _("Refused")


class ListenerState(TextChoices):
    """Whether a Nacos client has the text that is in force for it."""

    CURRENT = "current", _("Up to date")
    OLD = "old", _("Old text")


badges.register(
    "config",
    ItemState,
    {
        ItemState.IN_FORCE: Look("delivered", "sent"),
        ItemState.GRAY: Look("suppressed", "gray"),
        ItemState.DRAFT: Look("pending", "edit"),
        ItemState.DEFAULTS: Look("cancelled", "cancelled"),
        ItemState.UNPUBLISHED: Look("unknown", "edit"),
    },
)
badges.register(
    "config_instance",
    InstanceState,
    {
        InstanceState.APPLIED: Look("delivered", "sent"),
        InstanceState.BEHIND: Look("unknown", "expired"),
        InstanceState.SNAPSHOT: Look("unknown", "layers"),
        InstanceState.REFUSED: Look("failed", "failed"),
    },
)
badges.register(
    "listener",
    ListenerState,
    {ListenerState.CURRENT: Look("delivered", "sent"), ListenerState.OLD: Look("unknown", "expired")},
)
