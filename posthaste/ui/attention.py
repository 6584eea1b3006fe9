"""The registry of what needs attention: each app adds checks, the overview asks them all and says first what they found.

    @attention("orders", order=100)
    def late_orders(reader: Reader) -> Iterator[Notice]:
        if number := selectors.late(reader.tenant_ids):
            yield Notice(Severity.WARNING, _("Orders are late"), url=reverse("open-orders"), count=number, since=…)

A check answers within milliseconds: it runs each time the overview is opened, and every few seconds while it is open. One that
raises is left out and named at the end of the strip; it never breaks the page.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import structlog
from django.utils.functional import Promise

log = structlog.get_logger(__name__)
SHOWN = 5  # rows of the overview; what else there is, is counted below them


class Severity(IntEnum):
    """How loud a notice is; the loudest come first."""

    CRITICAL = 3
    WARNING = 2
    NOTE = 1

    @property
    def tone(self) -> str:
        """The colour of `tokens.css`."""
        return {Severity.CRITICAL: "failed", Severity.WARNING: "unknown", Severity.NOTE: "queued"}[self]

    @property
    def icon(self) -> str:
        """The symbol of `icons.svg`."""
        return {Severity.CRITICAL: "failed", Severity.WARNING: "dead", Severity.NOTE: "unknown"}[self]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: the user, the tenants that the page is about, and whether it is about the whole installation."""

    user: Any
    tenant_ids: Sequence[int]
    is_everything: bool
    now: datetime

    def may(self, permission: str) -> bool:
        """Return whether the reader has one of Django's permissions."""
        return bool(self.user.has_perm(permission))


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that needs attention: a sentence, and the address at which something can be done about it."""

    severity: Severity
    text: str
    url: str
    action: str = ""  # the words of the link
    count: int | None = None
    since: datetime | None = None
    detail: str = ""


Check = Callable[[Reader], Iterable[Notice]]


@dataclass(slots=True)
class State:
    """What all checks found: at most `SHOWN` notices, how many more there are, and the checks that could not answer."""

    notices: list[Notice] = field(default_factory=list)
    more: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Whether every check answered, and found nothing."""
        return not self.notices and not self.failed


_checks: dict[str, tuple[int, str | Promise, Check]] = {}


def attention(name: str, *, title: str | Promise, order: int = 100) -> Callable[[Check], Check]:
    """Register a check. `title` names it where it could not answer; `order` ranks notices of the same severity.

    Raises:
        ValueError: the name is taken.
    """

    def registered(check: Check) -> Check:
        if name in _checks:
            raise ValueError(f"There is a check named {name} already.")
        _checks[name] = (order, title, check)
        return check

    return registered


def remove(name: str) -> None:
    """Take a check out again; for tests."""
    del _checks[name]


def ask(reader: Reader) -> State:
    """Ask every check, and return what they found: the most severe first."""
    found: list[tuple[int, int, Notice]] = []
    state = State()
    for name, (order, title, check) in _checks.items():
        try:
            found += [(-notice.severity, order, notice) for notice in check(reader)]
        except Exception:  # one check must not take the page down
            log.exception("check of the overview failed", check=name)
            state.failed.append(str(title))
    found.sort(key=lambda entry: entry[:2])
    state.notices = [notice for _severity, _order, notice in found[:SHOWN]]
    state.more = len(found) - len(state.notices)
    return state
