"""Housekeeping: what is not needed any more is deleted each night."""

from datetime import datetime, timedelta

import structlog
from django.utils.translation import gettext_lazy as _

from jobs.registry import Blocking, job
from posthaste.lib import queues
from routing.conversations import arrivals, attachments
from routing.entrances.portal import sessions

log = structlog.get_logger(__name__)


@job(
    "routing.clean_conversations",
    title=_("Clean up after conversations"),
    purpose=_("Deletes arrivals that were processed 30 days ago, files that were never sent, and portal sessions that have expired."),
    cron="20 4 * * *",
    timeout=timedelta(minutes=30),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
)
def clean_conversations(*, now: datetime) -> None:
    """Delete what is not needed any more."""
    log.info(
        "cleaned up",
        arrivals=arrivals.delete_done(now=now),
        files=attachments.delete_unsent(now=now),
        sessions=sessions.delete_expired(now=now),
    )
