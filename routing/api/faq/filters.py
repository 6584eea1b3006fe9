"""Filters of entries of the FAQ."""

import django_filters

from posthaste.lib.filters import StrictFilterSet
from routing.models import FaqEntry, FaqState


class PublishedFilter(StrictFilterSet):
    """`?language=en&category=Delivery`."""

    language = django_filters.CharFilter()
    category = django_filters.CharFilter()
    slug = django_filters.CharFilter(help_text="The address.")

    class Meta:
        model = FaqEntry
        fields: list[str] = []


class EntryFilter(PublishedFilter):
    """`?state=review`."""

    state = django_filters.MultipleChoiceFilter(choices=FaqState.choices, distinct=False)
