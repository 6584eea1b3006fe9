"""Figures of the hot configuration."""

from collections import Counter
from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from configcenter import selectors
from configcenter.selectors import ModuleState
from configcenter.services import instances
from configcenter.services.instances import Instance
from posthaste.lib.metric_readings import once_a_reading
from posthaste.lib.metrics import metric


@once_a_reading
def _live() -> list[Instance]:
    """Return the instances that reported within eight seconds."""
    return instances.live()


@once_a_reading
def _modules() -> list[ModuleState]:
    return selectors.module_overview(_live())


@metric("config_instances", help=_("Processes that report which configuration they run, by kind."), labels=("kind",))
def config_instances() -> Mapping[str, float]:
    """Count the live instances."""
    return dict(Counter(instance.kind for instance in _live()))


@metric("config_release", help=_("Number of the release in force of a module; 0: the defaults."), labels=("module",))
def config_release() -> Mapping[str, float]:
    """Return what was published last, without gray releases."""
    return {state.handle.name: state.number for state in _modules()}


@metric(
    "config_lagging_instances",
    title=_("Processes that have not applied the configuration"),
    help=_("Processes that do not run the release of a module that they should run: not yet, or because they refused it."),
    unit="instances",
    labels=("module",),
)
def config_lagging_instances() -> Mapping[str, float]:
    """Compare what the live instances told with what is published."""
    return {state.handle.name: state.expected - state.running for state in _modules()}


@metric(
    "config_refused_instances",
    title=_("Processes that refused a configuration"),
    help=_("Processes for which a published release of a module, or a tenant's override, is not valid; the value before stays."),
    unit="instances",
    labels=("module",),
)
def config_refused_instances() -> Mapping[str, float]:
    """Count the instances that told of errors."""
    return {state.handle.name: len(state.errors) for state in _modules()}


@metric(
    "config_apply_seconds",
    help=_("The longest time that a live process took from the publication of a module's release until it ran it."),
    unit="seconds",
    labels=("module",),
)
def config_apply_seconds() -> Mapping[str, float | None]:
    """Return what the instances measured; missing where all started later."""
    return {state.handle.name: None if state.slowest_ms is None else state.slowest_ms / 1000 for state in _modules()}
