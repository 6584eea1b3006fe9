"""The log of a run: written in pieces while it runs, bounded, and read by pages.

Positions count characters. A piece has at most `PIECE` of them, so that reading a page at any position touches one or two rows, however
long the log is.
"""

from codecs import getincrementaldecoder
from collections import deque
from dataclasses import dataclass
from uuid import UUID

from jobs.models import JobRun, LogChunk

PIECE = 64 * 1024
MAX_SIZE = 64 * 1024 * 1024
CUT = "\n… The log ends here: a run keeps at most {n} MiB.\n"


class Writer:
    """Collects what a run says, and stores it when `flush` is called. For one thread at a time."""

    def __init__(self, run_id: UUID) -> None:
        self._run_id = run_id
        self._parts: deque[str] = deque()
        self._decoder = getincrementaldecoder("utf-8")(errors="replace")
        self._pending = 0
        self._stored = 0
        self._is_cut = False

    @property
    def size(self) -> int:
        """How many characters there are, stored or not."""
        return self._stored + self._pending

    def write_bytes(self, data: bytes) -> None:
        """Add a piece of UTF-8, which may end within a character."""
        self.write(self._decoder.decode(data))

    def write(self, text: str) -> None:
        """Add a text; what exceeds the most that is kept is dropped, and the log says so."""
        if self._is_cut or not text:
            return
        text = text.replace("\x00", "\ufffd")  # PostgreSQL stores none
        left = MAX_SIZE - self.size
        if len(text) > left:
            self._is_cut = True
            text = text[: max(0, left)] + CUT.format(n=MAX_SIZE // (1024 * 1024))
        self._parts.append(text)
        self._pending += len(text)

    def flush(self) -> None:
        """Store what was added. If the database refuses it, it is kept for the next time."""
        if not self._pending:
            return
        text = "".join(self._parts)
        chunks = [
            LogChunk(run_id=self._run_id, position=self._stored + start, text=text[start : start + PIECE])
            for start in range(0, len(text), PIECE)
        ]
        LogChunk.objects.bulk_create(chunks, batch_size=100, ignore_conflicts=True)
        JobRun.objects.filter(pk=self._run_id).update(log_size=self._stored + len(text))
        self._stored += len(text)
        self._pending = 0
        self._parts.clear()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a log: its text, where it starts and ends, and the size of the whole."""

    text: str
    start: int
    end: int
    size: int


def read(run_id: UUID, *, start: int, size: int, limit: int = PIECE) -> Page:
    """Return at most `limit` characters of a log from a position on; `size` is that of the whole as its run tells it."""
    start = max(0, start)
    rows = LogChunk.objects.filter(run_id=run_id)
    first = rows.filter(position__lte=start).order_by("-position").values_list("position", flat=True).first()
    if first is None:
        return Page("", start, start, size)
    parts: list[str] = []
    have = 0
    for position, text in rows.filter(position__gte=first, position__lt=start + limit).order_by("position").values_list("position", "text"):
        part = text[max(0, start - position) :][: limit - have]
        parts.append(part)
        have += len(part)
    return Page("".join(parts), start, start + have, max(size, start + have) if have else size)


def last_page(run_id: UUID, *, size: int, limit: int = PIECE) -> Page:
    """Return the end of a log, from the beginning of a line on."""
    page = read(run_id, start=max(0, size - limit), size=size, limit=limit)
    if page.start == 0:
        return page
    skipped = page.text.find("\n") + 1
    return Page(page.text[skipped:], page.start + skipped, page.end, page.size)
