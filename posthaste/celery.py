"""The Celery application."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init, worker_ready, worker_shutdown

from posthaste.lib import garbage, heartbeat

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

app = Celery("posthaste")
app.config_from_object("posthaste.celeryconfig")
app.autodiscover_tasks()


def _kind(hostname: str) -> str:
    """Return the kind of a process from its host name: `send@host`, `aux@host`."""
    return hostname.partition("@")[0]


@worker_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _configure_worker(sender: Any, **_kwargs: Any) -> None:
    """Before the first task, and when Django has been set up."""
    from configcenter.services import watch

    watch.start(_kind(sender.hostname))


@beat_init.connect(weak=False)  # type: ignore[untyped-decorator]
def _configure_beat(**_kwargs: Any) -> None:
    from configcenter.services import watch
    from monitor.alarms import evaluator

    garbage.settle()
    watch.start("beat")
    evaluator.start("beat")


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _sign_of_life(sender: Any, **_kwargs: Any) -> None:
    garbage.settle()
    heartbeat.start(_kind(sender.hostname))


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _send_webhooks(sender: Any, **_kwargs: Any) -> None:
    if _kind(sender.hostname) == "aux":
        from messaging.webhooks.engine import engine

        engine.start()


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _watch_mailboxes(sender: Any, **_kwargs: Any) -> None:
    if _kind(sender.hostname) == "aux":
        from routing.entrances.email.watch import watcher

        watcher.start()


@worker_ready.connect(weak=False)  # type: ignore[untyped-decorator]
def _warm_intents(sender: Any, **_kwargs: Any) -> None:
    if _kind(sender.hostname) == "aux":
        from routing.intents import live

        live.warm_in_the_background()


@worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
def _finish_webhooks(sender: Any, **_kwargs: Any) -> None:
    if _kind(sender.hostname) == "aux":
        from messaging.webhooks import engine

        engine.finish()


@worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
def _end_runs(**_kwargs: Any) -> None:
    from jobs.services.supervisor import supervisor

    supervisor.stop()


@setup_logging.connect(weak=False)  # type: ignore[untyped-decorator]
def _leave_logging_alone(**_kwargs: Any) -> None:
    """Django has configured it; a receiver is all that Celery needs to keep its hands off."""
