"""Training in a process of its own: measured, cancelled, killed, interrupted, begun again."""

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from posthaste import env
from posthaste.env import ROOT
from posthaste.lib.problems import Conflict, Invalid
from routing.intents import training, training_run
from routing.intents.live import recognize
from routing.intents.versions import activate_model
from routing.models import IntentModel, ModelState
from tests.builders import TESTER
from tests.jobs.waiting import wait_until
from tests.routing.intents.builders import make_small_set, make_version, small_model

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
#: In place of the training: says how far it is, with its process as the note, and goes on for ever.
ENDLESS = """
import os, sys, threading, time
def end():
    while os.read(0, 1): pass
    os._exit(3)
threading.Thread(target=end, daemon=True).start()
print('{"done": 3, "total": 10, "note": "%s"}' % os.getpid(), flush=True)
time.sleep(100)
"""


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the tasks in place of a broker."""
    found: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda _name, args, **_options: found.append(args[0]))
    return found


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_run, "COMMAND", [sys.executable, "-c", ENDLESS])
    monkeypatch.setattr(training_run, "TURN_SECONDS", 0.1)


def start(tenant: Tenant, **fields: Any) -> IntentModel:
    return training.start_training(tenant_id=tenant.pk, by=TESTER, now=timezone.now(), **fields)


def database_url() -> str:
    """Return the address of the database of the tests for another process."""
    name = connection.settings_dict["NAME"]
    return f"{env.load().database_url.rpartition('/')[0]}/{name}" if env.load().is_postgresql else f"sqlite:///{name}"


class Worker(threading.Thread):
    """A worker's thread that carries out a task."""

    def __init__(self, model: IntentModel) -> None:
        super().__init__()
        self._model = model
        self.start()

    def run(self) -> None:
        try:
            training_run.carry_out(str(self._model.pk))
        finally:
            connection.close()


def begun(model: IntentModel) -> int:
    """Wait until a training says how far it is, and return its process."""
    wait_until(lambda: IntentModel.objects.get(pk=model.pk).progress_done == 3)
    return int(IntentModel.objects.get(pk=model.pk).progress_note)


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_trained_version_is_measured_and_activated_if_it_is_better(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant, held_out=4)
    worse = make_version(tenant, small_model("tea", "train"), is_active=True)
    model = start(tenant, activates_if_better=True)
    assert published == [str(model.pk)]
    training_run.carry_out(published[0])
    model.refresh_from_db()
    assert (model.state, model.is_active, model.error, model.lease_token) == (ModelState.READY, True, "", None)
    assert model.evaluation["compared"]["version"] == worse.number
    assert model.evaluation["accuracy"] > model.evaluation["compared"]["accuracy"]
    assert (model.evaluation["held_out"], model.evaluation["trained_with"]) == (12, 13)
    assert model.progress_total > 0
    assert recognize(["is it going to rain"], tenant_id=tenant.pk)[0].model == model.number
    actions = AuditEntry.objects.filter(tenant=tenant).order_by("pk").values_list("actor", "action")
    assert list(actions) == [("user:tester", "intent_model.train"), ("system:training", "intent_model.activate")]
    training_run.carry_out(published[0])  # the broker delivered it twice
    assert IntentModel.objects.get(pk=model.pk).finished_at == model.finished_at


def test_too_few_texts_are_told_before_anything_begins(tenant: Tenant, published: list[str]) -> None:
    with pytest.raises(Invalid, match="At least 2 intents"):
        start(tenant)
    intents = make_small_set(tenant)
    intents["tea"].utterances.update(held_out=True)
    intents["train"].utterances.exclude(text__contains="late").update(held_out=True)
    with pytest.raises(Invalid, match="Too few: train"):
        start(tenant)
    assert not IntentModel.objects.exists()


def test_one_version_of_a_tenant_is_trained_at_a_time(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant)
    start(tenant)
    with pytest.raises(Conflict):
        start(tenant)


@pytest.mark.usefixtures("endless")
def test_a_cancelled_training_ends_with_its_process(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant)
    model = start(tenant)
    worker = Worker(model)
    process = begun(model)
    training.cancel_training(model=model, by=TESTER, now=timezone.now())
    worker.join(30)
    model.refresh_from_db()
    assert (model.state, is_running(process)) == (ModelState.CANCELLED, False)
    with pytest.raises(Conflict):
        training.cancel_training(model=model, by=TESTER, now=timezone.now())
    waiting = start(tenant)  # one that has not begun is cancelled at once
    assert training.cancel_training(model=waiting, by=TESTER, now=timezone.now()).state == ModelState.CANCELLED
    training_run.carry_out(str(waiting.pk))
    assert IntentModel.objects.get(pk=waiting.pk).state == ModelState.CANCELLED


@pytest.mark.usefixtures("endless")
def test_a_process_that_is_killed_fails_its_training_and_another_can_begin(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant)
    model = start(tenant)
    worker = Worker(model)
    os.kill(begun(model), signal.SIGKILL)
    worker.join(30)
    model.refresh_from_db()
    assert (model.state, model.error) == (ModelState.FAILED, "The process ended: SIGKILL")
    assert start(tenant).number == model.number + 1


@pytest.mark.usefixtures("endless")
def test_a_training_that_was_taken_away_ends_and_writes_nothing(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant)
    model = start(tenant)
    worker = Worker(model)
    process = begun(model)
    training.sweep_training(now=timezone.now() + 2 * training_run.LEASE)
    worker.join(30)
    assert IntentModel.objects.get(pk=model.pk).error == training.INTERRUPTED
    assert not is_running(process)


def test_a_worker_that_dies_leaves_no_process_and_its_training_is_ended(tenant: Tenant, published: list[str], tmp_path: Path) -> None:
    make_small_set(tenant)
    model = start(tenant)
    lost = IntentModel.objects.filter(pk=model.pk)
    lost.update(lease_token=uuid4(), lease_until=timezone.now() - timedelta(seconds=1))
    training.sweep_training(now=timezone.now())
    assert lost.get().error == training.INTERRUPTED
    # The process of a worker that is gone: its standard input ends.
    (tmp_path / "input.json").write_text('{"train": [], "held_out": [], "active": 0}')
    process = subprocess.Popen([*training_run.COMMAND, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 3


def test_a_training_whose_task_was_lost_is_published_again(tenant: Tenant, published: list[str]) -> None:
    make_small_set(tenant)
    model = start(tenant)
    published.clear()
    training.sweep_training(now=timezone.now())
    assert published == []
    training.sweep_training(now=timezone.now() + training.AGAIN * 2)
    assert published == [str(model.pk)]


def test_another_process_uses_the_active_version_from_its_next_text_on(tenant: Tenant) -> None:
    first, second = make_version(tenant, small_model(), is_active=True), make_version(tenant, small_model("tea", "train"))
    program = f"""
import sys, django
django.setup()
from routing.intents.live import recognize
for _line in sys.stdin:
    print(recognize(["green tea"], tenant_id={tenant.pk})[0].model, flush=True)
"""
    settings = {**os.environ, "DJANGO_SETTINGS_MODULE": "posthaste.settings", "DATABASE_URL": database_url()}
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def asked() -> int:
            print(file=other.stdin, flush=True)
            return int(other.stdout.readline())  # type: ignore[union-attr]

        assert asked() == first.number
        activate_model(model=second, by=TESTER, now=timezone.now())
        wait_until(lambda: asked() == second.number, seconds=2)
        other.stdin.close()
