"""How two texts differ, line by line, in bounded time and space whatever the texts are.

The lines that both texts begin and end with are left out first. The longest common subsequence of the rest is found bit-parallel
(rapidfuzz). Where there are too many lines for that, the lines that occur once in each text are paired first, as in patience diff
(https://bramcohen.livejournal.com/73318.html), and the lines between two pairs are compared on their own.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from django.utils.translation import gettext as _
from rapidfuzz.distance import LCSseq

CONTEXT_LINES = 3
MAX_LINES = 10_000  # that a comparison shows
#: Lines of one text times lines of the other: a bit each, so 32 MiB. Longer stretches count as replaced.
MAX_PAIRS = 1 << 28


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a comparison, with its number on either side; `gap` marks lines that are left out."""

    kind: Literal["same", "removed", "added", "gap"]
    text: str
    before: int | None = None
    after: int | None = None


class _Block(NamedTuple):
    """Lines of the old text that lines of the new text replace; each pair is where they begin and end."""

    old_begin: int
    old_end: int
    new_begin: int
    new_end: int


def diff(before: str, after: str, *, context: int = CONTEXT_LINES) -> list[Line]:
    """Return the lines that differ, with `context` equal lines around them; nothing where the texts are equal.

    After `MAX_LINES` a last gap says that the rest is not shown.
    """
    if before == after:
        return []
    found: list[Line] = []
    for line in _lines(before.splitlines(), after.splitlines(), context):
        if len(found) == MAX_LINES:
            return [*found, Line("gap", _("Only the first {n} lines are shown.").format(n=MAX_LINES))]
        found.append(line)
    return found


def _lines(old: Sequence[str], new: Sequence[str], context: int) -> Iterator[Line]:
    blocks = _blocks(old, new)
    begun = 0  # lines of the old text that were shown or left out
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        shown = max(block.old_begin - context, begun)
        if shown > begun:
            yield Line("gap", "")
        moved = block.new_begin - block.old_begin
        yield from (Line("same", old[n], n + 1, n + moved + 1) for n in range(shown, block.old_begin))
        yield from (Line("removed", old[n], n + 1, None) for n in range(block.old_begin, block.old_end))
        yield from (Line("added", new[n], None, n + 1) for n in range(block.new_begin, block.new_end))
        begun = min(block.old_end + context, following.old_begin if following else len(old))
        moved = block.new_end - block.old_end
        yield from (Line("same", old[n], n + 1, n + moved + 1) for n in range(block.old_end, begun))


def _blocks(old: Sequence[str], new: Sequence[str]) -> list[_Block]:
    """Return what differs, in order."""
    numbers: dict[str, int] = {}  # rapidfuzz compares by hash; equal lines have equal numbers
    first, second = ([numbers.setdefault(line, len(numbers)) for line in lines] for lines in (old, new))
    whole = _trimmed(first, second, _Block(0, len(first), 0, len(second)))
    if _pairs(whole) <= MAX_PAIRS:
        return list(_compared(first, second, whole))
    blocks: list[_Block] = []
    left = MAX_PAIRS
    for part in _parts(first, second, whole):
        part = _trimmed(first, second, part)
        if _pairs(part) <= left:
            left -= _pairs(part)
            blocks += _compared(first, second, part)
        else:
            blocks.append(part)
    return blocks


def _pairs(block: _Block) -> int:
    return (block.old_end - block.old_begin) * (block.new_end - block.new_begin)


def _trimmed(old: Sequence[int], new: Sequence[int], block: _Block) -> _Block:
    """Return a block without the equal lines at its beginning and its end."""
    old_begin, old_end, new_begin, new_end = block
    while old_begin < old_end and new_begin < new_end and old[old_begin] == new[new_begin]:
        old_begin, new_begin = old_begin + 1, new_begin + 1
    while old_begin < old_end and new_begin < new_end and old[old_end - 1] == new[new_end - 1]:
        old_end, new_end = old_end - 1, new_end - 1
    return _Block(old_begin, old_end, new_begin, new_end)


def _compared(old: Sequence[int], new: Sequence[int], block: _Block) -> Iterator[_Block]:
    """Compare the lines of a block exactly."""
    old_begin, old_end, new_begin, new_end = block
    for match in LCSseq.opcodes(old[old_begin:old_end], new[new_begin:new_end]):
        if match.tag == "equal":
            yield from _unless_empty(_Block(old_begin, block.old_begin + match.src_start, new_begin, block.new_begin + match.dest_start))
            old_begin, new_begin = block.old_begin + match.src_end, block.new_begin + match.dest_end
    yield from _unless_empty(_Block(old_begin, old_end, new_begin, new_end))


def _unless_empty(block: _Block) -> Iterator[_Block]:
    if block.old_begin < block.old_end or block.new_begin < block.new_end:
        yield block


def _parts(old: Sequence[int], new: Sequence[int], block: _Block) -> Iterator[_Block]:
    """Divide a block at the lines that occur once on either side, as far as these are in the same order."""
    old_begin, new_begin = block.old_begin, block.new_begin
    for old_at, new_at in [*_in_order(_unique_in_both(old, new, block)), (block.old_end, block.new_end)]:
        yield from _unless_empty(_Block(old_begin, old_at, new_begin, new_at))
        old_begin, new_begin = old_at + 1, new_at + 1


def _unique_in_both(old: Sequence[int], new: Sequence[int], block: _Block) -> list[tuple[int, int]]:
    """Return where the lines are that occur once on either side, in the order of the old text."""
    counts = Counter(old[block.old_begin : block.old_end]), Counter(new[block.new_begin : block.new_end])
    at = {new[n]: n for n in range(block.new_begin, block.new_end) if counts[1][new[n]] == 1}
    return [(n, at[old[n]]) for n in range(block.old_begin, block.old_end) if counts[0][old[n]] == 1 and old[n] in at]


def _in_order(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest selection of pairs in which both numbers rise (patience sorting)."""
    tops: list[int] = []  # of each pile: the second number of the pair on top
    top_pairs: list[int] = []
    previous: list[int] = []
    for index, (_old_at, new_at) in enumerate(pairs):
        pile = bisect_left(tops, new_at)
        if pile == len(tops):
            tops.append(new_at)
            top_pairs.append(index)
        else:
            tops[pile], top_pairs[pile] = new_at, index
        previous.append(top_pairs[pile - 1] if pile else -1)
    chosen: list[tuple[int, int]] = []
    index = top_pairs[-1] if top_pairs else -1
    while index >= 0:
        chosen.append(pairs[index])
        index = previous[index]
    return chosen[::-1]
