"""The newest fencing token that a writer has shown, by lock."""

from django.db import models


class Fence(models.Model):
    """One row a lock: a writer with a smaller token than this was overtaken and may not write."""

    tenant_lookup = None

    name = models.CharField(max_length=100, primary_key=True)
    token = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.name} {self.token}"
