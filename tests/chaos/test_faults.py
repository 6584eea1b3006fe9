"""Nothing is lost and nothing silently doubled, whatever fails.

`make test` runs the short form: the most telling faults, one strike each, in one storm. `make chaos` strikes every fault
CHAOS_STRIKES times, each in a storm of its own, and prints a table, which is left in benchmarks/results/chaos.md.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS, TELLING, faketime_library
from tests.chaos.installation import Installation
from tests.chaos.storm import Storm
from tests.chaos.table import Table

STRIKES = int(os.environ.get("CHAOS_STRIKES", "0"))


@pytest.fixture
def storm(installation: Installation, tmp_path: Path) -> Iterator[Storm]:
    storm = Storm(installation, tmp_path)
    yield storm
    storm.close()


def close(storm: Storm, name: str, strikes: int, began: float, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    totals = storm.final_totals()
    line = table.add(name, strikes, totals, time.monotonic() - began)
    with capsys.disabled():
        sys.stdout.write(f"\n{line} refused: {dict(totals.refused)} ")
    totals.check()


@pytest.mark.skipif(STRIKES > 0, reason="the long form strikes all of these faults")
def test_nothing_is_lost_or_doubled_in_a_storm_of_faults(storm: Storm, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    storm.strike([FAULTS[name] for name in TELLING])
    close(storm, f"{len(TELLING)} faults in one storm", 1, began, table, capsys)


@pytest.mark.skipif(not STRIKES, reason="every fault many times over takes ten minutes: make chaos")
@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_doubled_when(storm: Storm, name: str, table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    if name.startswith("disk") and not storm.installation.has_small_disk:
        pytest.skip("a disk that can be filled needs the right to mount one")
    if "clock" in name and not faketime_library():
        pytest.skip("a clock that jumps needs libfaketime: apt install faketime")
    began = time.monotonic()
    storm.strike([FAULTS[name]] * STRIKES)
    close(storm, name, STRIKES, began, table, capsys)
