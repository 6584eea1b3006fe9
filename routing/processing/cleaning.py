"""Housekeeping: what is not needed any more is deleted each night."""

from datetime import datetime, timedelta
from typing import Annotated

import structlog
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from jobs.registry import Blocking, job
from posthaste.lib import queues
from routing.assignment import history
from routing.conversations import arrivals, attachments
from routing.entrances.portal import sessions
from routing.entrances.wecom_contact import welcome

log = structlog.get_logger(__name__)
KeepDays = Annotated[int, Field(ge=1, le=36_500)]


@job(
    "routing.clean_conversations",
    title=_("Clean up after conversations"),
    purpose=_(
        "Deletes arrivals that were processed 30 days ago, files that were never sent, portal sessions that have expired, and old entries "
        "of who had which conversation and of welcome messages."
    ),
    cron="20 4 * * *",
    timeout=timedelta(minutes=30),
    blocking=Blocking.DISCARD,
    queue=queues.NOTIFICATION,
)
def clean_conversations(*, now: datetime, assignment_days: KeepDays = 400, welcome_days: KeepDays = 400) -> None:
    """Delete what is not needed any more; reports need assignments of a year and a month."""
    log.info(
        "cleaned up",
        arrivals=arrivals.delete_done(now=now),
        files=attachments.delete_unsent(now=now),
        sessions=sessions.delete_expired(now=now),
        assignments=history.delete_ended(before=now - timedelta(days=assignment_days)),
        welcomes=welcome.delete_old(before=now - timedelta(days=welcome_days)),
    )
