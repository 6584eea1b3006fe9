"""Text in which a reader sees nothing."""

import re
from html import unescape

#: Letters by Unicode's count that show nothing: Hangul fillers and the empty Braille pattern.
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN_HTML = re.compile(r"<(style|head|title|script)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.DOTALL | re.IGNORECASE)
_PICTURE = re.compile(r"<img\b", re.IGNORECASE)


def is_blank(text: str) -> bool:
    """Return whether a text is empty, or only of blanks, control characters and characters without width."""
    return not any(character.isprintable() and character != " " and character not in _FILLERS for character in text)


def is_blank_html(html: str) -> bool:
    """Return whether HTML shows neither text nor a picture."""
    return not _PICTURE.search(html) and is_blank(unescape(_UNSEEN_HTML.sub(" ", html)))
