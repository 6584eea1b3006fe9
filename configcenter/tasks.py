"""Celery's entrances: each loads nothing, decides nothing, calls one service."""

from celery import shared_task
from django.utils import timezone

from configcenter.services import releases


@shared_task(name="configcenter.forget_old_releases")
def forget_old_releases() -> None:
    """Removes releases that nobody will go back to."""
    releases.forget_old_releases(now=timezone.now())
