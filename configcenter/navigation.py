"""The configuration's place in the navigation."""

from django.utils.translation import gettext_lazy as _

from accounts.services import rights
from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group

navigation.add(
    Entry(group=Group.CONFIGURE, order=30, url="config:overview", icon="config", label=_("Configuration"), allowed=rights.may_open),
)
