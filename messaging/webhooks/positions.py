"""The positions of the events of one request, as a short text: `50-53,75`.

The filters of an endpoint may be changed while a request is repeated, or before it is replayed. Its first and last position would not
say then which events it carried.
"""

from collections.abc import Iterable


def encode(positions: Iterable[int]) -> str:
    """Return ascending positions as a text."""
    spans: list[list[int]] = []
    for position in positions:
        if spans and position == spans[-1][1] + 1:
            spans[-1][1] = position
        else:
            spans.append([position, position])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def decode(text: str) -> list[int]:
    """Return the positions of a text that `encode` made, in their order."""
    found: list[int] = []
    for span in text.split(",") if text else ():
        first, _hyphen, last = span.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found
