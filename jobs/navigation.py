"""The places of jobs and locks in the navigation."""

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from accounts.services import rights
from posthaste.ui import navigation
from posthaste.ui.navigation import Entry, Group

navigation.add(
    Entry(group=Group.OPERATE, order=110, url="config-locks", icon="lock", label=_("Locks"), allowed=rights.may_view),
    Entry(
        group=Group.OPERATE,
        order=90,
        url="admin:django_celery_beat_periodictask_changelist",
        under=reverse_lazy("admin:app_list", args=["django_celery_beat"]),  # crontabs and intervals are pages of theirs
        icon="jobs",
        label=_("Scheduled jobs"),
        allowed="django_celery_beat.view_periodictask",
    ),
)
