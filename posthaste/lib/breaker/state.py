"""What a breaker is told and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Phase(TextChoices):
    """Whether calls may be made."""

    CLOSED = "closed", _("Closed")  # yes
    OPEN = "open", _("Open")  # no
    HALF_OPEN = "half_open", _("Half-open")  # a few, on trial


@dataclass(frozen=True, slots=True)
class Rule:
    """When a breaker opens, and how it closes again. 0 in a threshold: not looked at."""

    window_seconds: float = 30
    min_requests: int = 20
    slow_percent: int = 60
    error_percent: int = 50
    error_count: int = 0
    open_seconds: float = 10
    trial_calls: int = 3
    counts: str = "errors"  # what its failures are called: errors, receipts
    # Where receipts have opened it:
    max_open_seconds: float = 0  # what `open_seconds` doubles up to, each time in a row; less than those: it does not
    receipt_seconds: float = 0  # so long receipts of its trial messages are waited for; 0: a trial call that was taken is enough
    receipt_percent: int = 50  # of them, from which on it opens again


@dataclass(slots=True)
class Tally:
    """What calls gave since it was last reported."""

    calls: int = 0
    slow: int = 0
    errors: int = 0
    unused: int = 0  # trial calls that were granted and not made
    code: str = ""  # of the latest failure
    #: Of receipts: when each message was taken (ms since 1970), and whether it failed.
    taken: Sequence[tuple[int, bool]] = ()

    def add(self, *, slow: bool = False, error: str = "") -> None:
        """Count in one call; `error` is the code of its failure."""
        self.calls += 1
        if error:
            self.errors += 1
            self.code = error[:40]
        elif slow:
            self.slow += 1


@dataclass(frozen=True, slots=True)
class State:
    """A breaker as Redis has it; times are Redis's milliseconds since 1970."""

    name: str
    state: Phase = Phase.CLOSED
    since: int = 0  # when it opened or closed, or was held by hand; trials that fail leave it
    retry_at: int = 0
    closed_at: int = 0
    epoch: int = 0
    why: str = ""  # errors, slow, receipts, trial, silence (no receipt of its trial messages came), forced
    number: int = 0
    of: int = 0
    code: str = ""
    release: int = 0
    forced: str = ""  # open, closed; empty: by itself
    forced_by: str = ""
    forced_until: int = 0  # 0: until released
    cause: str = ""  # receipts: they have opened it, and it has not closed since
    judged_at: int = 0  # its trial calls were taken, and their receipts are waited for so long; 0: not so

    @classmethod
    def read(cls, name: str, stored: dict[str, Any]) -> "State":
        """Make a state of the JSON that Redis keeps."""
        known = {field: stored[field] for field in cls.__slots__ if field in stored}
        return cls(**{**known, "name": name, "state": Phase(stored["state"])})

    def is_forced(self, now_ms: float) -> bool:
        """Return whether it is held by hand."""
        return bool(self.forced) and (self.forced_until == 0 or now_ms < self.forced_until)

    def phase(self, now_ms: float) -> Phase:
        """Return whether calls may be made: an open one whose time is up is as good as half-open."""
        if self.is_forced(now_ms):
            return Phase(self.forced)
        return Phase.HALF_OPEN if self.state == Phase.OPEN and now_ms >= self.retry_at else self.state
