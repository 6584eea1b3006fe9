"""The benchmarks run and write their results. No test looks at a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from posthaste import env
from posthaste.env import ROOT

#: The cheapest one, and the only one that needs nothing beside the product's own packages.
CHEAPEST = "memory"


@pytest.mark.timeout(900)
def test_a_benchmark_runs_and_writes_its_result(tmp_path: Path) -> None:
    if not env.load().is_rabbitmq:
        pytest.skip("benchmarks start the servers of the production stack")
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.run", CHEAPEST, "--quick", "--no-fsync", "--debug", "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    entry = json.loads(output.read_text())[CHEAPEST]
    assert {"ours", "baseline", "limit", "ratio", "unit", "rounds"} <= entry.keys()
    assert entry["ours"] > 0
    assert entry["rounds"] == 1
