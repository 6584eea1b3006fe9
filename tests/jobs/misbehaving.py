"""An app with jobs that misbehave, for real processes: written to a folder, installed through their settings."""

from pathlib import Path

from posthaste.env import ROOT

SETTINGS = """
from posthaste.settings import *
INSTALLED_APPS = [*INSTALLED_APPS, "misbehaving"]
"""
TASKS = """
import os, signal, time
from datetime import datetime, timedelta
from pathlib import Path
from django.db import connection
from accounts.models import Tenant
from jobs.registry import job
from jobs.services import current, fence, transitions

DECLARED = {"title": "Test", "purpose": "Test.", "cron": "0 0 1 1 *", "timeout": timedelta(minutes=10)}

def wait_for(path, seconds=300):
    deadline = time.monotonic() + seconds
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.05)

def spin(seconds):
    while True:
        try:
            while True:
                if seconds:
                    time.sleep(seconds)
        except BaseException:
            pass

@job("misbehaving.spin", **DECLARED)
def spin_with_a_child(*, now, words: str = "spinning", mark: str = "/dev/null", pause: int = 0):
    began = time.time()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = os.fork()
    if child == 0:
        spin(pause)
    pids = f"{os.getppid()} {os.getpid()} {child}"
    Path(mark).write_text(f"{began} {pids}")
    print(f"pids {pids}", flush=True)
    print(words, flush=True)
    spin(pause)

@job("misbehaving.wait", **DECLARED)
def wait(*, now, path: str = "/"):
    connection.close()  # nothing of the database is needed until the end
    print("waiting", flush=True)
    wait_for(path)
    print("waited", flush=True)

@job("misbehaving.write_late", stoppable=False, **DECLARED)
def write_late(*, now, path: str = "/", written: str = "/dev/null"):
    run = current.run()
    connection.close()
    Path(f"{written}.began").touch()
    run.lost.wait(300)
    Path(f"{written}.lost").touch()
    wait_for(path)
    said = "OperationalError"
    while said == "OperationalError":  # a connection of the pool that ended with the server
        try:
            with fence.guarded_run():
                Tenant.objects.create(slug="late", name="Late")
            said = "written"
        except Exception as error:
            said = type(error).__name__
            connection.close()
            time.sleep(0.05)
    Path(written).write_text(said)

@job("misbehaving.say", **DECLARED)
def say(*, now):
    print(f"began {datetime.now(tz=now.tzinfo).isoformat()}", flush=True)

# The worker is killed where the end of a run is stored, once, at the place that the file names.
DIES_AT = Path(os.environ["DIES_AT"])
finish = transitions.finish

def die():
    DIES_AT.unlink()
    os.kill(os.getpid(), signal.SIGKILL)

def die_after_the_update(execute, sql, params, many, context):
    answer = execute(sql, params, many, context)
    if sql.startswith('UPDATE "jobs_jobrun"'):
        die()
    return answer

def finish_or_die(*args, **options):
    place = DIES_AT.read_text() if DIES_AT.exists() else ""
    if place == "before":
        die()
    if place == "inside":
        with connection.execute_wrapper(die_after_the_update):
            return finish(*args, **options)
    followers = finish(*args, **options)
    if place == "after":
        die()
    return followers

transitions.finish = finish_or_die
"""


def write(folder: Path) -> dict[str, str]:
    """Write the app and its settings, and return what the environment of its processes needs beside their servers."""
    app = folder / "misbehaving"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "tasks.py").write_text(TASKS)
    (folder / "misbehaving_settings.py").write_text(SETTINGS)
    return {
        "DJANGO_SETTINGS_MODULE": "misbehaving_settings",
        "PYTHONPATH": f"{ROOT}:{folder}",
        "DIES_AT": str(folder / "dies_at"),
    }
