"""Filters of the lists of agents."""

import django_filters
from django.db.models import Q, QuerySet

from posthaste.lib.filters import WHOLE, StrictFilterSet
from routing.models import Agent

MAX_DIGITS = 18  # of an id: more are no number of the database


class AgentFilter(StrictFilterSet):
    """`?user=ada`."""

    user = django_filters.CharFilter(method="by_user", help_text="User name, or the user's ID.")

    class Meta:
        model = Agent
        fields: list[str] = []

    def by_user(self, rows: "QuerySet[Agent]", _name: str, value: str) -> "QuerySet[Agent]":
        wanted = Q(user__username=value)
        if WHOLE.fullmatch(value) and len(value) <= MAX_DIGITS:
            wanted |= Q(user_id=int(value))
        return rows.filter(wanted)
