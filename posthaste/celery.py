"""The Celery application."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_ready

from posthaste.lib import garbage, heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

app = Celery("posthaste")
app.config_from_object("posthaste.celeryconfig")
app.autodiscover_tasks()


@worker_ready.connect(weak=False)
def _sign_of_life(sender: Any, **_kwargs: Any) -> None:
    garbage.settle()
    heartbeat.start(sender.hostname.partition("@")[0])  # `-n send@host`, `-n aux@host`


@setup_logging.connect(weak=False)
def _leave_logging_alone(**_kwargs: Any) -> None:
    """Django has configured it; a receiver is all that Celery needs to keep its hands off."""
