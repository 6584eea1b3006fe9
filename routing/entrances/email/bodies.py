"""Which part of a message is its text, and in which characters it is written."""

import re
from email.message import Message

from posthaste.lib.html import as_text, sanitise
from routing.contract import IncomingFile

MAX_PARTS = 200
MAX_HTML = 1_000_000
MAX_FILES = 10
#: A name that says less than what is sent under it: the larger one holds all characters of the smaller.
WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "x-gbk": "gb18030", "iso-8859-1": "cp1252", "latin-1": "cp1252", "ks_c_5601-1987": "cp949"}
GUESSES = ("utf-8", "gb18030")
_STYLE = re.compile(r"<(style|script|head|title)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)


def decoded(content: bytes, charset: str) -> str:
    """Return text, whatever its charset is said to be; what fits no charset becomes U+FFFD."""
    named = charset.strip().strip("\"'").lower()
    for name in (WIDER.get(named, named), *GUESSES):
        try:
            return content.decode(name)
        except (LookupError, ValueError):  # unknown, or not in it; ValueError also for names with a NUL
            continue
    return content.decode("utf-8", "replace")


def text_and_files(message: Message) -> tuple[str, list[IncomingFile], int]:
    """Return the text of a message, its files, and how many parts were left out because they are too many."""
    plain: list[str] = []
    html: list[str] = []
    files: list[IncomingFile] = []
    left_out = 0
    for number, part in enumerate(message.walk()):
        if number >= MAX_PARTS:
            left_out += 1
            continue
        if part.is_multipart() and part.get_content_type() != "message/rfc822":
            continue
        name, kind = _file_name(part), part.get_content_type()
        is_file = bool(name) or part.get_content_disposition() == "attachment" or part.get_content_maintype() not in ("text", "multipart")
        if is_file and kind != "message/rfc822":
            content = _bytes(part)
            if content and len(files) < MAX_FILES:
                files.append(IncomingFile(name=name or f"{kind.replace('/', '-')}", content=content))
            elif content:
                left_out += 1
        elif kind == "text/html":
            html.append(decoded(_bytes(part), part.get_content_charset() or ""))
        elif kind.startswith("text/"):
            plain.append(decoded(_bytes(part), part.get_content_charset() or ""))
    text = "\n".join(plain).strip()
    return text or "\n".join(filter(None, map(html_text, html))), files, left_out


def html_text(html: str) -> str:
    """Return what a reader sees of a part in HTML; nothing of it if it can't be read."""
    try:
        return as_text(sanitise(_STYLE.sub("", html[:MAX_HTML])))
    except (ValueError, LookupError, RecursionError, AssertionError):
        return ""


def _bytes(part: Message) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except (ValueError, AssertionError, LookupError):  # a transfer encoding that is broken beyond what the library mends
        content = str(part.get_payload()).encode("utf-8", "replace")
    return content if isinstance(content, bytes) else b""


def _file_name(part: Message) -> str:
    try:
        return str(part.get_filename() or "")
    except (ValueError, LookupError, AssertionError, TypeError):  # RFC 2231 with a charset that does not exist
        return "file"
