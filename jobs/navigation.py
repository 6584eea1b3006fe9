"""The places of jobs and locks in the navigation."""

from django.utils.translation import gettext_lazy as _

from accounts.services import rights
from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group

navigation.add(
    Entry(group=Group.OPERATE, order=110, url="config-locks", icon="lock", label=_("Locks"), allowed=rights.may_view),
    Entry(group=Group.OPERATE, order=90, url="jobs", icon="jobs", label=_("Jobs"), allowed=rights.may_view),
)
