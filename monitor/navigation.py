"""The monitor's places in the navigation."""

from django.utils.translation import gettext_lazy as _

from accounts.services import rights
from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group

navigation.add(
    Entry(group=Group.OPERATE, order=10, url="admin:index", icon="overview", label=_("Overview"), is_exact=True, on_phone=True),
    Entry(group=Group.OPERATE, order=15, url="monitor", icon="screen", label=_("Big screen"), allowed="messaging.view_message"),
    Entry(
        group=Group.OPERATE,
        order=30,
        url="dead-letters",
        icon="dead",
        label=_("Dead letters"),
        allowed="messaging.view_message",
        on_phone=True,
    ),
    Entry(group=Group.OPERATE, order=95, url="alarms", icon="alarm", label=_("Alarms"), allowed=rights.may_view),
    Entry(group=Group.OPERATE, order=60, url="config-breakers", icon="breaker", label=_("Breakers"), allowed=rights.may_view),
    Entry(group=Group.OPERATE, order=70, url="config-limits", icon="limit", label=_("Limits"), allowed=rights.may_view),
    Entry(group=Group.OPERATE, order=80, url="monitor-queues", icon="pools", label=_("Queues and pools"), allowed=rights.may_view),
    Entry(group=Group.OPERATE, order=85, url="monitor-instances", icon="instances", label=_("Instances"), allowed=rights.may_view),
)
