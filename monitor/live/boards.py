"""The figures of one tenant as this process has last heard of them, ready to be sent to any number of viewers."""

from time import monotonic

#: Frames come once a second. After this time without one the figures are old.
FRESH_SECONDS = 2.2
#: A frame repeats the points of at least ten seconds: who has missed no more than these many is told only what is new.
MAX_MISSED = 5
MAX_POINTS = 180


class Board:
    """What is known of a tenant. It is whole when the points of the past are known too, not only those of the newest frame."""

    def __init__(self) -> None:
        self.number = 0
        self.is_whole = False
        self._head = b""
        self._points: dict[int, bytes] = {}
        self._fresh: list[int] = []
        self._heard_at = monotonic()
        self._update = self._snapshot = ""

    @property
    def is_fresh(self) -> bool:
        """Whether a frame has come a moment ago."""
        return monotonic() - self._heard_at < FRESH_SECONDS

    def hear(self, number: int, fields: list[bytes]) -> None:
        """Take in a tenant's line of a frame: figures of this moment, and the newest points."""
        self._head, points = fields[0], self._read(fields[1:])
        self._fresh = sorted(points)
        self._points |= points
        self._drop_old()
        self.number, self._heard_at = number, monotonic()
        self._update = self._snapshot = ""

    def fill(self, fields: list[bytes]) -> None:
        """Take in a snapshot; what a frame has told is newer."""
        self._points = self._read(fields[1:]) | {at: self._points[at] for at in self._fresh}
        self._drop_old()
        self.is_whole = True
        self._snapshot = ""

    def _drop_old(self) -> None:
        for at in sorted(self._points)[:-MAX_POINTS]:
            del self._points[at]

    @staticmethod
    def _read(fields: list[bytes]) -> dict[int, bytes]:
        pairs = (field.partition(b"=") for field in fields)
        return {int(at): point for at, _equals, point in pairs}

    def after(self, number: int) -> str:
        """Return what to send to a viewer who has last got the frame of that number: what is new, or everything."""
        if 0 < self.number - number <= MAX_MISSED:
            self._update = self._update or self._written(b"update", self._fresh)
            return self._update
        self._snapshot = self._snapshot or self._written(b"snapshot", sorted(self._points))
        return self._snapshot

    def _written(self, kind: bytes, points: list[int]) -> str:
        beginning = b'{"status":"live","type":"%s","number":%d,' % (kind, self.number)
        listed = b",".join(self._points[at] for at in points)
        return (beginning + self._head[1:-1] + b',"points":[' + listed + b"]}").decode()
