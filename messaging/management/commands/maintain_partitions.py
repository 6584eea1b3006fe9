"""`manage.py maintain_partitions`: makes the days to come and ends the retention of old ones, as the hourly job does."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from messaging.storage.partitions import maintain
from posthaste import env


class Command(BaseCommand):
    help = "Makes partitions ahead (PostgreSQL) and removes messages whose retention has ended."

    def handle(self, *args: Any, **options: Any) -> None:
        result = maintain(now=timezone.now(), retention_days=env.load().message_retention_days)
        self.stdout.write(", ".join(f"{name}: {number}" for name, number in result.items()) or "another process is doing it")
