"""Control characters, which no header, address, display name or URL may contain.

Software disagrees about which of them end a line: `str.splitlines`, which mail libraries use, takes eleven characters for line ends.
So all of them are refused, instead of the two that end a line in RFC 5322.
"""

import re

#: Unicode's category Cc (C0, DEL and C1), and the line and paragraph separators.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def find_control(text: str) -> str:
    """Return the first control character as its code point, such as `U+000B`; empty if there is none."""
    found = _CONTROL.search(text)
    return f"U+{ord(found[0]):04X}" if found else ""
