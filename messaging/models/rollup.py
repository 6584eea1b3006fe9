"""What happened in each minute, ten minutes and hour: kept by `messaging.statistics.rollups` after the live counters are gone."""

from django.db import models


class FlowRollup(models.Model):
    """How often something happened to messages of a tenant and channel within a span, such as accepted, sent or failed.

    Unlike a tally, which counts messages by the state they have now, it counts events by the time at which they happened.
    """

    tenant_lookup = "tenant_id"

    span_seconds = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    tenant_id = models.BigIntegerField()
    channel = models.CharField(max_length=10)
    event = models.CharField(max_length=12)
    number = models.BigIntegerField()
    #: Of what was sent: `bucket:number` for each bucket of `tracing.services.latency`, separated by spaces.
    latency = models.TextField(default="", blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_id", "span_seconds", "starts_at", "channel", "event"], name="flow_rollup_once")
        ]
        indexes = [models.Index(fields=["span_seconds", "starts_at"], name="flow_rollup_span")]

    def __str__(self) -> str:
        return f"{self.number} {self.event}"


class QueueRollup(models.Model):
    """The most that waited, and the largest pool, within a span; as far as it was looked at, which is until `until`."""

    tenant_lookup = None

    span_seconds = models.PositiveIntegerField()
    starts_at = models.DateTimeField()
    until = models.DateTimeField()
    depth = models.BigIntegerField(null=True)  # None: no feeder has told
    capacity = models.BigIntegerField()
    threads = models.BigIntegerField()
    busy = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["span_seconds", "starts_at"], name="queue_rollup_once")]

    def __str__(self) -> str:
        return f"{self.depth} at {self.starts_at}"
