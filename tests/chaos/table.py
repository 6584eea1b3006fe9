"""The table of the long form: one line a fault, printed as it comes and written to benchmarks/results/chaos.md at the end."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from posthaste.env import ROOT

RESULT = ROOT / "benchmarks/results/chaos.md"
HEAD = (
    "| fault | struck | accepted | sent | unknown | failed | lost | doubled | events | untold | told twice | seconds |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass
class Totals:
    """What everybody saw."""

    accepted: set[str] = field(default_factory=set)  # ids that a client was told 202 for
    stored: dict[str, str] = field(default_factory=dict)  # id → status in the database
    taken: Counter[str] = field(default_factory=Counter)  # id → times the provider took it
    refused: Counter[str] = field(default_factory=Counter)  # what clients were told otherwise
    told: Counter[tuple[str, str]] = field(default_factory=Counter)  # (event, webhook-id) → times the listener took it
    untold: set[tuple[str, str]] = field(default_factory=set)  # (message, type of event) that the listener never heard of
    unknown_calls: set[str] = field(default_factory=set)  # webhook-ids whose outcome was unknown once

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

    @property
    def told_twice(self) -> set[str]:
        """Webhook-ids of requests that the listener took more than once."""
        return {webhook_id for (_event, webhook_id), times in self.told.items() if times > 1}

    @property
    def in_two_requests(self) -> set[str]:
        """Events that came under two webhook-ids, so that a receiver can't tell that it has seen them."""
        return {event for event, times in Counter(event for event, _id in self.told).items() if times > 1}

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
        assert not self.untold, f"events that never came: {_some({' '.join(pair) for pair in self.untold})}"
        assert not self.in_two_requests, f"events under two webhook-ids: {_some(self.in_two_requests)}"
        assert not (wrong := self.told_twice - self.unknown_calls), f"told twice, and the outcome was known: {_some(wrong)}"


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
            f"| {len(totals.ids('failed'))} | {len(totals.lost)} | {len(totals.doubled)} | {len(totals.told):,} | {len(totals.untold)} "
            f"| {len(totals.told_twice)} | {seconds:.0f} |"
        )
        self.entries.append(entry)
        return entry

    def write(self, path: Path = RESULT) -> None:
        """Leave the table in a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEAD, *self.entries, "", f"{time.monotonic() - self.began:.0f} s in all.", ""]))
