"""What a process loads: only what it needs, and nothing that a fork would break."""

import subprocess
import sys

import orjson
import pytest

from posthaste.env import ROOT

#: What only some processes need, and what a start would pay for it: 90 MB and two seconds in all.
PAGES = {
    "rest_framework.views",
    "drf_spectacular.openapi",
    "messaging.api.urls",
    "messaging.admin",
    "django.contrib.auth.admin",
    "monitor.pages",
}
LATE = {"apprise", "inscriptis", "requests", "click_repl", "prompt_toolkit", "grpc"}

TASKS = """
import deploy.celery_process
import django
django.setup()
from posthaste.celery import app
app.loader.import_default_modules()
app.finalize()
import celery.apps.beat, celery.apps.worker, jobs.scheduler
"""
# The connections that the entrance of `ws` opens lead nowhere here.
WAITING = "import posthaste.asgi"


def run(program: str) -> str:
    """Run a program in a process of its own and return what it prints last."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("process", [TASKS, WAITING], ids=["worker and beat", "ws"])
def test_a_process_without_pages_loads_none_and_no_process_what_is_needed_late(process: str) -> None:
    loaded = set(orjson.loads(run(f"{process}\nimport orjson, sys\nprint(orjson.dumps(sorted(sys.modules)).decode())")))
    assert "messaging.tasks" in loaded
    assert sorted(loaded & (PAGES | LATE)) == []


def test_what_the_web_server_loads_before_it_forks_starts_no_thread_and_opens_no_connection() -> None:
    program = """
import posthaste.rsgi
import os, threading, sys
files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")]
print([thread.name for thread in threading.enumerate()], [name for name in files if name.startswith("socket") or "sqlite" in name])
"""
    if sys.platform != "linux":
        pytest.skip("asks /proc")
    assert run(program) == "['MainThread'] []"


def test_processes_that_were_forked_after_loading_make_different_ids_and_secrets() -> None:
    program = """
import posthaste.rsgi
import os, secrets, random
from posthaste.lib.flow.limiter import limiter
from posthaste.lib.ids import new_id
reader, writer = os.pipe()
for _child in range(3):
    if os.fork() == 0:
        made = [new_id().hex[12:] for _ in range(300)] + [secrets.token_hex(8), str(random.random()), limiter._prefix]
        os.write(writer, (" ".join(made) + " ").encode())
        os._exit(0)
    os.wait()
os.close(writer)
made = b"".join(iter(lambda: os.read(reader, 65536), b"")).split()
print(len(made), len(set(made)))
"""
    number, different = map(int, run(program).split())
    assert number == different == 3 * 303
