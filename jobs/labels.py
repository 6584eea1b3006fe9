"""How the states of scheduled jobs look."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from posthaste.ui import badges
from posthaste.ui.badges import Look


class Switch(TextChoices):
    """Whether the clock starts a job."""

    ENABLED = "enabled", _("Enabled")
    DISABLED = "disabled", _("Disabled")


badges.register(
    "job_switch",
    Switch,
    {Switch.ENABLED: Look("delivered", "sent"), Switch.DISABLED: Look("cancelled", "cancelled")},
)
