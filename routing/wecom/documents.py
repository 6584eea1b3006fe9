"""The XML and JSON that WeCom sends, as dictionaries.

XML comes from others, so declarations of types and entities are refused, and depth and number of elements are bounded. An element with
children becomes a dictionary, one that is repeated a list, any other its text. Attributes have no place: WeCom uses none.
"""

import hashlib
import json
from typing import Any
from xml.parsers import expat

from posthaste.lib import foreign_json

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_ELEMENTS = 5_000


class BadDocument(Exception):
    """It is neither XML nor JSON as WeCom writes it; the message has nothing of its content."""


def read(body: bytes) -> dict[str, Any]:
    """Return what a document in XML or JSON says, without the root element.

    Raises:
        BadDocument: It is neither.
    """
    if len(body) > MAX_BYTES:
        raise BadDocument("The document is too long.")
    text = body.lstrip()
    return _xml(text) if text.startswith(b"<") else _json(text)


def digest(value: Any) -> str:
    """Return a hash of what a document says, however it is ordered: 64 characters."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = foreign_json.loads(body)
    except ValueError:
        raise BadDocument("The document is neither XML nor JSON.") from None
    if not isinstance(found, dict):
        raise BadDocument("The document is not a JSON object.")
    return found


def _xml(body: bytes) -> dict[str, Any]:
    reader = _Reader()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = reader.start, reader.end, reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise BadDocument("The document is not well-formed XML.") from None
    return reader.root


class _Reader:
    """Builds the dictionary as the parser goes."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[dict[str, Any], list[str]]] = []  # children and text of each open element
        self._number = 0

    def start(self, _name: str, _attributes: Any) -> None:
        self._number += 1
        if self._number > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise BadDocument("The document has too many elements.")
        self._open.append(({}, []))

    def text(self, data: str) -> None:
        self._open[-1][1].append(data)

    def end(self, name: str) -> None:
        children, texts = self._open.pop()
        if not self._open:
            self.root = children
            return
        value: Any = children or "".join(texts)
        around = self._open[-1][0]
        if name not in around:
            around[name] = value
        elif isinstance(around[name], list):
            around[name].append(value)
        else:
            around[name] = [around[name], value]

    def refuse(self, *_args: Any) -> None:
        raise BadDocument("The document declares types or entities.")
