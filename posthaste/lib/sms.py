"""Counting SMS segments as 3GPP TS 23.038 defines them."""

from dataclasses import dataclass
from typing import Literal

# 3GPP TS 23.038, 6.2.1: the default alphabet (without ESC) and its extension table, whose characters take two septets.
BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = frozenset("\f^{}\\[~]|€")
GSM = BASIC | EXTENSION


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text travels: `units` are septets (GSM-7) or UTF-16 code units (UCS-2)."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def count_segments(text: str) -> Segments:
    """Count the units of a text and the segments a handset receives it in."""
    if GSM.issuperset(text):
        doubles, encoding, single, part = EXTENSION, "GSM-7", 160, 153
        wide = sum(map(text.count, EXTENSION))
    else:
        doubles, encoding, single, part = None, "UCS-2", 70, 67
        wide = len(text.encode("utf-16-le", "surrogatepass")) // 2 - len(text)
    units = len(text) + wide
    if units <= single:
        segments = 1 if units else 0
    elif not wide:
        segments = -(-units // part)
    else:
        segments, used = 1, 0
        for character in text:
            # An escape sequence or a surrogate pair is never split: it moves to the next segment whole.
            size = 2 if (character in doubles if doubles is not None else character > "\uffff") else 1
            if used + size > part:
                segments, used = segments + 1, 0
            used += size
    return Segments(encoding, units, segments)  # type: ignore[arg-type]
