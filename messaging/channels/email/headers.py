"""Header lines of a mail (RFC 5322, RFC 2047).

An encoded word has at most 75 characters, and lines fold at 78 where they have a blank to fold at.
"""

import re
from email.charset import BASE64, Charset
from email.header import Header
from email.parser import BytesHeaderParser
from email.policy import compat32
from email.utils import formataddr

from posthaste.lib.control_characters import find_control

MAX_LINE = 78
_ENCODED_WORD = re.compile(r"=\?.*\?=", re.DOTALL)
_utf8 = Charset("utf-8")
_utf8.header_encoding = BASE64
_parser = BytesHeaderParser(policy=compat32)


class BadHeader(ValueError):
    """A header would not be the one line that it is meant to be."""


def text_header(name: str, text: str) -> str:
    """Return a header with free text, such as a subject, folded and ended by CRLF.

    Raises:
        BadHeader: the text has a control character or half a surrogate pair.
    """
    return _line(name, _encoded(name, text))


def mailbox_header(name: str, display_name: str, address: str) -> str:
    """Return a header with one mailbox, such as `From`, folded and ended by CRLF.

    Raises:
        BadHeader: as `text_header`.
    """
    if not display_name or (display_name.isascii() and not _ENCODED_WORD.search(display_name)):
        return _line(name, _folded(name, formataddr((_checked(name, display_name), _checked(name, address)))))
    phrase = _encoded(name, display_name)
    last = phrase.rpartition("\n")[2]
    used = len(last) + (len(name) + 2 if last == phrase else 0)
    blank = " " if used + len(address) + 3 <= MAX_LINE else "\r\n "
    return _line(name, f"{phrase}{blank}<{_checked(name, address)}>")


def plain_header(name: str, value: str) -> str:
    """Return a header whose value is a token that must not be folded, such as an ID or a URL.

    Raises:
        BadHeader: the value has a character other than printable ASCII.
    """
    if not (value.isascii() and value.isprintable()):
        raise BadHeader(f"{name}: contains a character that is not printable ASCII.")
    return f"{name}: {value}\r\n"


def check_headers(head: bytes, names: list[str]) -> None:
    """Parse what was composed, and check that it has these headers and no other, in this order.

    Raises:
        BadHeader: a value has become a header of its own, or ended the head.
    """
    parsed = _parser.parsebytes(head)
    if [name.lower() for name in parsed] != [name.lower() for name in names] or parsed.get_payload():
        raise BadHeader(f"The composed mail has the headers {', '.join(parsed)[:200]} instead of {', '.join(names)}.")


def _checked(name: str, text: str) -> str:
    if found := find_control(text):
        raise BadHeader(f"{name}: contains the control character {found}.")
    return text


def _encoded(name: str, text: str) -> str:
    _checked(name, text)
    if text.isascii() and not _ENCODED_WORD.search(text):
        return _folded(name, text)
    try:
        return Header(text, _utf8, maxlinelen=MAX_LINE - 2, header_name=name).encode(linesep="\r\n")
    except UnicodeEncodeError:
        raise BadHeader(f"{name}: contains half of a surrogate pair.") from None


def _folded(name: str, text: str) -> str:
    """Fold ASCII at blanks. Never at the first, which would leave a line of blanks, nor where a line of blanks would follow."""
    if len(name) + 2 + len(text) <= MAX_LINE:
        return text
    lines, used = [""], len(name) + 2
    for word in re.findall(r" *[^ ]+ *$| *[^ ]+", text) or [text]:
        if lines[-1].strip() and word[0] == " " and used + len(word) > MAX_LINE:
            lines.append("")
            used = 0
        lines[-1] += word
        used += len(word)
    return "\r\n".join(lines)


def _line(name: str, value: str) -> str:
    return f"{name}: {value}\r\n"
