"""Training a version in a process of its own, which this worker watches.

The process has no database and no secrets: it reads texts from a folder and leaves the model there. So it can be killed at any moment, and
training slows no thread of the worker down. Once a second the worker writes how far it is, renews its lease, and learns whether people
have cancelled. A worker that dies takes the process with it, which holds its standard input; `sweep_training` ends the version.
"""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import orjson
import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from accounts.services.audit import Actor
from posthaste.env import ROOT
from posthaste.lib.elastic import stopping
from routing.intents import starting_rows, training
from routing.intents.versions import activate_model
from routing.models import IntentModel, ModelState

log = structlog.get_logger(__name__)
COMMAND = [sys.executable, "-m", "deploy.training_process"]
LEASE = timedelta(seconds=60)
TURN_SECONDS = 1.0
LONGEST_SECONDS = 3_600.0
MAX_ERROR = 500
TIMED_OUT = "timed_out"
WORKER_STOPS = "worker_stops"
#: One at a time in each worker: it uses a whole core for as long as it takes.
_room = threading.Lock()


class Lost(Exception):
    """The version is no longer this worker's to train."""


@dataclass(slots=True)
class _Progress:
    done: int = 0
    total: int = 0
    note: str = ""


def carry_out(model_id: str) -> None:
    """Train a version if that is its turn and there is room; returns when it has ended."""
    if not _room.acquire(blocking=False):
        return  # it is published again when there is room
    identifier, token = UUID(model_id), uuid4()
    try:
        if not _claim(identifier, token):
            return
        _train(IntentModel.objects.defer("artefact").get(pk=identifier), token)
    finally:
        _room.release()
    training.publish_waiting()


def _claim(identifier: UUID, token: UUID) -> bool:
    waiting = IntentModel.objects.filter(pk=identifier, state=ModelState.TRAINING, lease_token=None)
    return bool(waiting.update(lease_token=token, lease_until=timezone.now() + LEASE))


def _train(model: IntentModel, token: UUID) -> None:
    with TemporaryDirectory(prefix="intents-") as name:
        folder = Path(name)
        try:
            _write_input(folder, model)
            state, error = _watched(folder, model, token)
            if state == ModelState.READY:
                _store(folder, model, token)
            else:
                _end(model, token, state, error)
        except Lost:
            log.warning("training was taken away", model=str(model.pk))
        except Exception as error:
            log.exception("training failed", model=str(model.pk))
            _end(model, token, ModelState.FAILED, f"{type(error).__name__}: {error}")


def _write_input(folder: Path, model: IntentModel) -> None:
    trains, held_out = training.examples(tenant_id=model.tenant_id)
    active = IntentModel.objects.filter(tenant_id=model.tenant_id, is_active=True).first()
    number, content = (active.number, bytes(active.artefact or b"")) if active else (0, starting_rows.content())
    (folder / "active.zip").write_bytes(content)
    (folder / "input.json").write_bytes(orjson.dumps({"train": trains, "held_out": held_out, "active": number}))


def _watched(folder: Path, model: IntentModel, token: UUID) -> tuple[ModelState, str]:
    """Run the process and return what became of it.

    Raises:
        Lost: the version was ended by others.
    """
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [*COMMAND, str(folder)],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,  # never written to: it ends with this process, and the training with it
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    try:
        stopped = _follow(process, model, token)
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
    if stopped is not None:
        return stopped
    if process.returncode == 0 and (folder / "evaluation.json").exists():
        return ModelState.READY, ""
    return ModelState.FAILED, _reason(folder, process.returncode)


def _reason(folder: Path, status: int) -> str:
    with suppress(OSError, orjson.JSONDecodeError):
        return str(orjson.loads((folder / "error.json").read_bytes())["error"])
    last = (folder / "errors").read_bytes()[-2_000:].decode(errors="replace").strip().splitlines()
    if last:
        log.warning("the training process failed", status=status, last=last[-1][:300])
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"exit status {status}"
    return f"The process ended: {name}"


def _follow(process: "subprocess.Popen[bytes]", model: IntentModel, token: UUID) -> tuple[ModelState, str] | None:
    """Watch the process until it ends, and return why it is to end where that is not its own decision."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    progress, received = _Progress(), b""
    until = time.monotonic() + LONGEST_SECONDS
    next_turn, lease_ends = 0.0, time.monotonic() + LEASE.total_seconds()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.get_map():
                if selector.select(TURN_SECONDS / 2):
                    data = process.stdout.read() or b""
                    if not data:
                        selector.unregister(process.stdout)
                    *lines, received = (received + data).split(b"\n")
                    for line in lines:
                        _take(line, progress)
            elif process.poll() is not None:
                return None
            else:
                time.sleep(0.05)
            if stopping.is_set():
                return ModelState.FAILED, WORKER_STOPS
            clock = time.monotonic()
            if clock >= until:
                return ModelState.FAILED, TIMED_OUT
            if clock >= next_turn:
                next_turn = clock + TURN_SECONDS
                try:
                    if _turn(model, token, progress):
                        return ModelState.CANCELLED, ""
                    lease_ends = clock + LEASE.total_seconds()
                except (DatabaseError, InterfaceError) as error:
                    log.warning("training waits for the database", error=type(error).__name__)
                    if clock >= lease_ends:
                        raise Lost from error
                finally:
                    _give_back()


def _take(line: bytes, progress: _Progress) -> None:
    with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        told: dict[str, Any] = orjson.loads(line)
        progress.done, progress.total, progress.note = int(told["done"]), int(told["total"]), str(told["note"])[:100]


def _turn(model: IntentModel, token: UUID, progress: _Progress) -> bool:
    """Write how far it is, renew the lease, and return whether people have cancelled."""
    own = IntentModel.objects.filter(pk=model.pk, lease_token=token, state=ModelState.TRAINING)
    renewed = own.update(
        progress_done=progress.done,
        progress_total=progress.total,
        progress_note=progress.note,
        lease_until=timezone.now() + LEASE,
    )
    if not renewed:
        raise Lost
    return bool(own.values_list("cancel_requested", flat=True).first())


def _store(folder: Path, model: IntentModel, token: UUID) -> None:
    """Keep the trained model, and activate it where that was asked for and it is better."""
    result = orjson.loads((folder / "evaluation.json").read_bytes())
    content, now = (folder / "model.zip").read_bytes(), timezone.now()
    with transaction.atomic():
        own = IntentModel.objects.filter(pk=model.pk, lease_token=token, state=ModelState.TRAINING)
        stored = own.update(
            state=ModelState.READY,
            artefact=content,
            sha256=result["sha256"],
            evaluation=result["evaluation"],
            finished_at=now,
            lease_token=None,
            lease_until=None,
            error="",
        )
        if not stored:
            raise Lost
        if model.activates_if_better and is_better(result["evaluation"]):
            activate_model(model=model, by=Actor.system("training"), now=now)
    log.info("intent model trained", model=str(model.pk), version=model.number, accuracy=result["evaluation"].get("accuracy"))


def _end(model: IntentModel, token: UUID, state: ModelState, error: str) -> None:
    own = IntentModel.objects.filter(pk=model.pk, lease_token=token, state=ModelState.TRAINING)
    own.update(state=state, error=error[:MAX_ERROR], finished_at=timezone.now(), lease_token=None, lease_until=None)


def is_better(evaluation: dict[str, Any]) -> bool:
    """Return whether a model is better on the held-out texts than the one that was active, which may be none that can be loaded."""
    own, other = evaluation.get("accuracy"), (evaluation.get("compared") or {}).get("accuracy")
    return evaluation.get("measured_with") == "held_out" and own is not None and (other is None or own > other)


def _give_back() -> None:
    """Return the connection to the pool: the next turn is a second away."""
    if not connection.in_atomic_block:
        connection.close()
