"""How the states of alarms, notices and silences look."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from monitor.alarms.rules import Severity
from monitor.alarms.states import AlarmState
from monitor.models import NoticeState
from posthaste.ui import badges
from posthaste.ui.badges import Look


class SilenceState(TextChoices):
    """Whether a silence is in force."""

    ACTIVE = "active", _("In force")
    COMING = "coming", _("To come")
    OVER = "over", _("Over")


badges.register(
    "alarm",
    AlarmState,
    {
        AlarmState.FIRING: Look("failed", "failed"),
        AlarmState.NO_DATA: Look("unknown", "unknown"),
        AlarmState.ACKNOWLEDGED: Look("queued", "eye"),
        AlarmState.SILENCED: Look("suppressed", "pause"),
        AlarmState.PENDING: Look("pending", "pending"),
        AlarmState.RESOLVED: Look("delivered", "delivered"),
    },
)
badges.register(
    "severity",
    Severity,
    {
        Severity.CRITICAL: Look("failed", "dead"),
        Severity.WARNING: Look("unknown", "unknown"),
        Severity.INFO: Look("queued", "audit"),
    },
)
badges.register(
    "alarm_notice",
    NoticeState,
    {
        NoticeState.WAITING: Look("queued", "queued"),
        NoticeState.DIRECT: Look("sending", "sending"),
        NoticeState.SENT: Look("sent", "sent"),
        NoticeState.FAILED: Look("failed", "failed"),
    },
)
badges.register(
    "silence",
    SilenceState,
    {
        SilenceState.ACTIVE: Look("suppressed", "pause"),
        SilenceState.COMING: Look("pending", "pending"),
        SilenceState.OVER: Look("cancelled", "cancelled"),
    },
)
