"""Every queue has a worker, every task a queue, every job a task."""

from celery import current_app

from deploy.processes import COUNTED_PROCESSES, commands
from jobs import registry
from posthaste import celeryconfig
from posthaste.lib.heartbeat import KINDS
from posthaste.lib.queues import NAMES, declared

COMMANDS = commands(port=8000, ws_port=8001, web_workers=1, host="127.0.0.1")


def consumed() -> list[str]:
    """Name the queues that the workers' command lines name."""
    return [name for command in COMMANDS.values() if "-Q" in command for name in command[command.index("-Q") + 1].split(",")]


def our_tasks() -> set[str]:
    current_app.loader.import_default_modules()
    return {name for name in current_app.tasks if not name.startswith("celery.")}


def test_the_four_queues_are_declared_durable() -> None:
    assert NAMES == ("message.send", "ai.process", "notification", "delayed")
    assert [queue.name for queue in declared()] == list(NAMES)
    assert all(queue.durable and queue.exchange.durable for queue in declared())


def test_every_declared_queue_has_exactly_one_kind_of_worker() -> None:
    assert sorted(consumed()) == sorted(queue.name for queue in declared())


def test_every_task_has_a_route_to_a_declared_queue() -> None:
    assert our_tasks() == set(registry.queues_of_tasks())
    assert set(registry.queues_of_tasks().values()) <= set(NAMES)


def test_no_task_goes_to_a_queue_nobody_declared() -> None:
    assert celeryconfig.task_create_missing_queues is False
    assert celeryconfig.task_default_queue in NAMES


def test_every_scheduled_job_is_a_task_that_exists() -> None:
    assert {job.name for job in registry.jobs()} <= our_tasks()


def test_a_scheduled_job_never_piles_up_behind_a_worker_that_is_away() -> None:
    assert all(job.expires for job in registry.jobs())


def test_a_message_that_a_killed_worker_held_goes_back_to_the_broker() -> None:
    assert celeryconfig.task_acks_late
    assert celeryconfig.task_reject_on_worker_lost
    assert celeryconfig.worker_prefetch_multiplier == 1


def test_the_health_page_counts_every_process_that_is_started() -> None:
    assert set(COUNTED_PROCESSES) <= set(KINDS)
    named = {command[command.index("-n") + 1].partition("@")[0] for command in COMMANDS.values() if "-n" in command}
    assert named <= set(KINDS)
