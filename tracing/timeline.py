"""What a message did with its time, from acceptance to its end: spans that lie one after another, for a bar and for OTLP."""

from collections.abc import Sequence
from dataclasses import dataclass

from tracing.labels import SpanKind
from tracing.selectors import Event

SHORT_MS = 1_000  # due so soon after its acceptance, a message was not scheduled


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a message's time; milliseconds since its id was made.

    `attempt` counts from 1 within a run: an operator who sends a message again begins a new run.
    """

    kind: SpanKind
    start_ms: int
    end_ms: int
    attempt: int = 0
    run: int = 1
    provider: str = ""
    code: str = ""  # why it failed
    is_open: bool = False

    @property
    def duration_ms(self) -> int:
        """How long it took."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What the row tells of a message's course. `end_ms` None: it is in progress, until `now_ms`."""

    due_ms: int
    end_ms: int | None
    now_ms: int
    is_sending: bool = False


class _Walk:
    def __init__(self, due_ms: int) -> None:
        self.due_ms = due_ms
        self.spans: list[Span] = []
        self.cursor = 0
        self.run = 1
        self.attempt = 0
        self.is_claimed = False

    def add(self, kind: SpanKind, until_ms: int, **more: object) -> None:
        start, end = self.cursor, max(self.cursor, until_ms)
        if kind == SpanKind.WAITING and self.run == 1 and start < self.due_ms and self.due_ms - start > SHORT_MS and not self.attempt:
            split = min(end, self.due_ms)
            is_open = bool(more.get("is_open")) and end <= self.due_ms
            self.spans.append(Span(SpanKind.SCHEDULED, start, split, run=self.run, is_open=is_open))
            start = split
            if end <= self.due_ms:
                self.cursor = end
                return
        if end > start or more:
            self.spans.append(Span(kind, start, end, attempt=self.attempt, run=self.run, **more))  # type: ignore[arg-type]
        self.cursor = end

    def pause_until(self, at_ms: int) -> None:
        """Go on to a time up to which a worker had the message, or it waited."""
        self.add(SpanKind.PROCESS if self.is_claimed else SpanKind.WAITING, at_ms)


def spans_of(events: Sequence[Event], course: Course) -> list[Span]:
    """Return the spans of a message in the order of time."""
    walk = _Walk(course.due_ms)
    for event in events:
        _step(walk, event)
    last = course.now_ms if course.end_ms is None else course.end_ms
    if course.end_ms is None:
        walk.is_claimed = walk.is_claimed or course.is_sending
        walk.add(SpanKind.PROCESS if course.is_sending else SpanKind.WAITING, last, is_open=True)
    elif last > walk.cursor and not any(event.code in "SK" for event in events):
        walk.pause_until(last)
    return walk.spans


def _step(walk: _Walk, event: Event) -> None:
    words = event.words
    match event.code:
        case "C":
            walk.pause_until(event.at_ms)
            walk.attempt = int(words[0]) if words and words[0].isdecimal() else walk.attempt + 1
            walk.is_claimed = True
        case "S" | "E" if len(words) >= 2:
            took = int(words[0]) if words[0].isdecimal() else 0
            walk.pause_until(max(walk.cursor, event.at_ms - took))
            code = words[2] if event.code == "E" and len(words) > 2 else ""
            walk.add(SpanKind.SEND, event.at_ms, provider=words[1], code=code)
        case "R" | "V":
            walk.pause_until(event.at_ms)
            walk.is_claimed = False
        case "X" if words and words[0] == "pending":
            walk.pause_until(event.at_ms)
            walk.is_claimed = False
        case "X":
            walk.pause_until(event.at_ms)
            walk.is_claimed = False
        case "K" if len(words) == 1:
            walk.is_claimed = False
            walk.add(SpanKind.CALLBACK, event.at_ms)
        case "O" if words and words[0] == "retry":
            walk.add(SpanKind.ENDED, event.at_ms)
            walk.run, walk.attempt, walk.is_claimed = walk.run + 1, 0, False
        case "O":
            walk.pause_until(event.at_ms)
