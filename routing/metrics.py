"""Figures of the service desk."""

from django.utils.translation import gettext_lazy as _

from posthaste.lib.metrics import metric
from routing.intents import unloadable


@metric(
    "unloadable_intent_models",
    title=_("Intent models that can't be loaded"),
    help=_("Tenants whose active intent model some process could not load. The version before it is used there."),
)
def unloadable_intent_models() -> float:
    """Count the tenants whose active model can't be loaded."""
    return float(unloadable.number())
