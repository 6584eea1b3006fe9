"""How runs of a job are kept apart, and what becomes of runs that were missed."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Blocking(TextChoices):
    """What happens to a run that is due while the one before it still runs."""

    DISCARD = "discard", _("Skipped")
    QUEUE = "queue", _("Waits for the running one")
    COVER = "cover", _("Takes over from the running one")
    OVERLAP = "overlap", _("Runs in parallel")


class Misfire(TextChoices):
    """What happens to runs that were due while no beat process ran."""

    RUN_ONCE = "run_once", _("Made up for once")
    SKIP = "skip", _("Skipped")
