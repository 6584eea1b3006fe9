"""What jobs remember: the newest fencing token of each lock, and since when a job that never ran is counted."""

from django.db import models


class Fence(models.Model):
    """One row a lock: a writer with a smaller token than this was overtaken and may not write."""

    tenant_lookup = None

    name = models.CharField(max_length=100, primary_key=True)
    token = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} {self.token}"


class Counted(models.Model):
    """Since when a scheduled job that has not run yet is counted; another schedule counts from when it was set."""

    tenant_lookup = None

    name = models.CharField(max_length=200, primary_key=True)  # of the row in the beat's table
    since = models.DateTimeField()
    schedule = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.name} {self.since}"
