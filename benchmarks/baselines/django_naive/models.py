"""The message table of baseline (a)."""

import uuid

from django.db import models


class Message(models.Model):
    """One text to one recipient."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    channel = models.CharField(max_length=10)
    recipient = models.CharField(max_length=200)
    subject = models.CharField(max_length=200, blank=True)
    body = models.TextField()
    priority = models.PositiveSmallIntegerField(default=5)
    status = models.CharField(max_length=10, default="pending", db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    provider_message_id = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "django_naive"
        db_table = "message"

    def __str__(self) -> str:
        return str(self.id)
