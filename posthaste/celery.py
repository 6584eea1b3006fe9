"""The Celery application."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

app = Celery("posthaste")
app.config_from_object("posthaste.celeryconfig")
app.autodiscover_tasks()
