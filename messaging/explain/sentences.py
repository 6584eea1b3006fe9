"""A sentence whose parts may be links and times, so that a page and the API say the same, each in its own way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from posthaste.ui.templatetags.interface import milliseconds, thousands


@dataclass(frozen=True, slots=True)
class Link:
    """Something that has a page: its kind (provider, breaker, batch, release, …) and what tells it from others of that kind."""

    text: str
    kind: str
    key: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time."""

    ms: int

    def __str__(self) -> str:
        seconds = round(self.ms / 1000)
        return milliseconds(self.ms if self.ms < 1_000 else 1_000 * seconds).replace(f"{seconds}.00", str(seconds))


Part = str | int | Link | Duration | datetime


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence: `code` names it for programs, `words` is its text with a placeholder for each of `parts`.

    `tone` says how it looks: a state of messages, such as `failed` or `unknown`; empty: nothing is wrong.
    """

    code: str
    words: str
    parts: Mapping[str, Part] = field(default_factory=dict)
    tone: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        return self.words.format(**{name: _plain(part) for name, part in self.parts.items()})

    def as_html(self, *, link: Callable[[Link], SafeString | str], moment: Callable[[datetime], SafeString]) -> SafeString:
        """Return the sentence with its links and with times in the reader's zone."""

        def shown(part: Part) -> Any:
            if isinstance(part, Link):
                return link(part)
            return moment(part) if isinstance(part, datetime) else _plain(part)

        return format_html(self.words, **{name: shown(part) for name, part in self.parts.items()})

    def as_dict(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {"code": self.code, "text": str(self), "until": self.until}


def _plain(part: Part) -> str:
    match part:
        case Link():
            return part.text
        case datetime():
            return f"{part.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case bool() | str() | Duration():
            return str(part)
        case _:
            return thousands(part)


def about(count: int, *, limit: int) -> str:
    """Return a count that was made up to a limit."""
    number = formats.number_format(min(count, limit), use_l10n=True, force_grouping=True)
    return gettext("more than {n}").format(n=number) if count > limit else number
