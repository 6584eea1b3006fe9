"""Figures of the scheduled jobs."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from posthaste.lib.metrics import metric


@metric(
    "failed_jobs",
    title=_("Jobs whose last run failed"),
    help=_("Jobs whose last run failed, timed out or was stopped: 1 each."),
    labels=("job",),
)
def failed_jobs() -> Mapping[str, float]:
    """Return nothing: runs are not kept yet."""
    return {}
