"""What an installation must be given before others can reach it."""

import os
import subprocess
import sys
from typing import Any

import pytest
from pydantic import SecretStr

from deploy.processes import commands, reachable
from posthaste.env import INSECURE_SECRET, NUMERIC_THREADS, ROOT, Environment

OWN, PUBLISHED = SecretStr("x" * 60), SecretStr(INSECURE_SECRET)


@pytest.mark.parametrize(
    "given",
    [{"https": True}, {"allowed_hosts": ["localhost", "posthaste.example"]}, {"allowed_hosts": ["*"]}, {"host": "0.0.0.0"}, {"host": "::"}],
)
def test_the_published_key_is_refused_where_others_can_reach_the_installation(given: dict[str, Any]) -> None:
    assert Environment(secret_key=PUBLISHED, **given).needs_own_secret
    assert not Environment(secret_key=OWN, **given).needs_own_secret


@pytest.mark.parametrize("given", [{}, {"allowed_hosts": ["shop.localhost", "127.0.0.2", "[::1]"]}, {"host": "::1"}, {"host": "127.0.0.1"}])
def test_a_machine_of_ones_own_needs_no_key(given: dict[str, Any]) -> None:
    assert not Environment(secret_key=PUBLISHED, **given).needs_own_secret


@pytest.mark.parametrize("command", [["manage.py", "check"], ["-m", "deploy.processes", "--check", "web"]])
@pytest.mark.parametrize("given", [{"HTTPS": "true"}, {"ALLOWED_HOSTS": "posthaste.example"}])
def test_every_process_says_in_one_line_that_the_key_is_missing(command: list[str], given: dict[str, str]) -> None:
    kept = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "ENCRYPTION_KEYS")}
    ended = subprocess.run([sys.executable, *command], cwd=ROOT, env=kept | given, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "SECRET_KEY" in ended.stderr


#: What is loaded before the settings in any process, then the settings, then what counts the threads of numpy's library.
COUNTS = """
import os, sys
import deploy.celery_process, deploy.preloaded, deploy.job_process, deploy.processes
assert "numpy" not in sys.modules
import posthaste.settings
import numpy, threadpoolctl
print({each["num_threads"] for each in threadpoolctl.threadpool_info()}, os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_NUM_THREADS"])
"""


def test_numpy_starts_no_threads_in_any_process_unless_the_environment_says_so() -> None:
    kept = {name: value for name, value in os.environ.items() if name not in NUMERIC_THREADS} | {"OMP_NUM_THREADS": "2"}
    ended = subprocess.run([sys.executable, "-c", COUNTS], cwd=ROOT, env=kept, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "{1} 1 2"


@pytest.mark.parametrize(("host", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
def test_a_server_is_asked_how_it_is_where_it_listens(host: str, address: str) -> None:
    assert reachable(host) == address
    assert host in commands(port=1, ws_port=2, web_workers=1, host=host)["web"]
