"""Counts that the database keeps up itself, so that pages need not count messages.

On PostgreSQL triggers on the message table write what every statement changed as a few rows of `TallyChange`, within the same
transaction; `services.tallies` adds them up into `Tally`. The two together are exact at any moment. On SQLite both are empty.
"""

from datetime import UTC, datetime
from uuid import UUID

from django.db import models

NO_BATCH = UUID(int=0)
NO_HOUR = datetime(1970, 1, 1, tzinfo=UTC)
NO_BUCKET = -1


class Count(models.Model):
    """A number of messages.

    There are three kinds, distinguished by the fields left at their default: per batch (batch, status), per hour (tenant, hour, channel,
    status), and per latency (tenant, hour, bucket).
    """

    tenant_lookup = "tenant_id"

    batch_id = models.UUIDField(default=NO_BATCH)
    hour = models.DateTimeField(default=NO_HOUR)
    tenant_id = models.BigIntegerField(default=0)
    channel = models.CharField(max_length=10, default="")
    status = models.CharField(max_length=10, default="")
    bucket = models.SmallIntegerField(default=NO_BUCKET)
    number = models.BigIntegerField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.number} {self.status}"


class Tally(Count):
    """What has been added up."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch_id", "hour", "tenant_id", "channel", "status", "bucket"], name="tally_once_a_key")
        ]


class TallyChange(Count):
    """What has changed since; may be negative."""
