"""The table of the long form: one line a fault, printed as it comes and written to benchmarks/results/chaos.md at the end."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from posthaste.env import ROOT

RESULT = ROOT / "benchmarks/results/chaos.md"
HEAD = "| fault | struck | accepted | sent | unknown | failed | lost | doubled | seconds |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"


@dataclass
class Totals:
    """What everybody saw."""

    accepted: set[str] = field(default_factory=set)  # ids that a client was told 202 for
    stored: dict[str, str] = field(default_factory=dict)  # id → status in the database
    taken: Counter[str] = field(default_factory=Counter)  # id → times the provider took it
    refused: Counter[str] = field(default_factory=Counter)  # what clients were told otherwise

    def ids(self, *statuses: str) -> set[str]:
        """Return the messages that stand in one of these states."""
        return {i for i, status in self.stored.items() if status in statuses}

    @property
    def lost(self) -> set[str]:
        """Accepted, and neither at the provider nor shown to be in doubt."""
        return self.accepted - set(self.taken) - self.ids("unknown", "failed", "expired", "cancelled")

    @property
    def doubled(self) -> set[str]:
        """At the provider more than once, although they were not sent again on request."""
        return {i for i, times in self.taken.items() if times > 1}

    def check(self) -> None:
        """Compare what everybody saw.

        Raises: AssertionError that says what does not fit.
        """
        sent = self.ids("sent", "delivered")
        assert not (missing := self.accepted - set(self.stored)), f"told 202 for, and not there: {_some(missing)}"
        assert not (open_ := self.ids("pending", "queued", "sending")), f"in progress: {_some(open_)}"
        assert not self.lost, f"lost: {_some(self.lost)}"
        assert not self.doubled, f"doubled: {_some(self.doubled)}"
        assert not (wrong := sent - set(self.taken)), f"stands as sent, and the provider has never seen it: {_some(wrong)}"
        assert not (wrong := set(self.taken) - sent - self.ids("unknown")), f"the provider took it, and it stands otherwise: {_some(wrong)}"


def _some(ids: set[str]) -> str:
    return f"{len(ids)}, among them {', '.join(sorted(ids)[:3])}"


class Table:
    """The lines so far."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.began = time.monotonic()

    def add(self, fault: str, strikes: int, totals: Totals, seconds: float) -> str:
        """Make the line of one fault and return it."""
        entry = (
            f"| {fault} | {strikes} | {len(totals.accepted):,} | {len(totals.ids('sent', 'delivered')):,} | {len(totals.ids('unknown'))} "
            f"| {len(totals.ids('failed'))} | {len(totals.lost)} | {len(totals.doubled)} | {seconds:.0f} |"
        )
        self.entries.append(entry)
        return entry

    def write(self, path: Path = RESULT) -> None:
        """Leave the table in a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEAD, *self.entries, "", f"{time.monotonic() - self.began:.0f} s in all.", ""]))
