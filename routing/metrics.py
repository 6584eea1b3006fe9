"""Figures of the service desk."""

from collections import Counter
from collections.abc import Mapping

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.selectors import tenant_slugs
from posthaste.lib.metrics import metric
from routing.calendars import missing
from routing.conversations import selectors as conversations
from routing.intents import unloadable
from routing.service_levels import selectors


@metric(
    "unloadable_intent_models",
    title=_("Intent models that can't be loaded"),
    help=_("Tenants whose active intent model some process could not load. The version before it is used there."),
)
def unloadable_intent_models() -> float:
    """Count the tenants whose active model can't be loaded."""
    return float(unloadable.number())


@metric(
    "failed_arrivals",
    title=_("Messages of customers that failed"),
    help=_("Messages of customers that could not be processed, so that no agent sees them, by tenant."),
    labels=("tenant",),
    fold=sum,
)
def failed_arrivals() -> Mapping[str, float]:
    """Count the arrivals that were given up."""
    return _by_slug(conversations.failed_by_tenant())


@metric(
    "breached_clocks",
    title=_("Breached service levels"),
    help=_("Conversations and tickets that are open past the time of their service level, by tenant."),
    labels=("tenant",),
    fold=sum,
)
def breached_clocks() -> Mapping[str, float]:
    """Count the open clocks whose breach was told."""
    return _by_slug(selectors.breached_by_tenant())


@metric(
    "calendars_without_holidays",
    title=_("Calendars without holidays"),
    help=_("Business calendars that lack the holidays of this year, or from October on of the next, by tenant."),
    labels=("tenant",),
    fold=sum,
    keep_seconds=300,
)
def calendars_without_holidays() -> Mapping[str, float]:
    """Count the calendars that lack holidays."""
    numbers = Counter({each.calendar.pk: each.calendar.tenant_id for each in missing.of_tenants(None, now=timezone.now())}.values())
    return _by_slug(numbers)


def _by_slug(numbers: Mapping[int, int]) -> dict[str, float]:
    slugs = tenant_slugs(numbers) if numbers else {}
    return {slugs[pk]: float(number) for pk, number in numbers.items() if pk in slugs}
