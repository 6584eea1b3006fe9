"""Figures of the hot configuration."""

from collections import Counter
from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from configcenter.services import instances
from posthaste.lib.metrics import metric


@metric("config_instances", help=_("Processes that report which configuration they run, by kind."), labels=("kind",))
def config_instances() -> Mapping[str, float]:
    """Count the instances that reported within eight seconds."""
    return dict(Counter(instance.kind for instance in instances.live()))


@metric(
    "config_applied_version",
    help=_("Number of the release that an instance runs of a module; 0: the defaults."),
    labels=("module", "instance"),
)
def config_applied_version() -> Mapping[tuple[str, ...], float]:
    """Return what each instance runs, as it reported within eight seconds."""
    return {(module, instance.id): version.number for instance in instances.live() for module, version in instance.versions.items()}
