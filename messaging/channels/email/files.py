r"""Small text files that go with a mail, such as a report, from `metadata.mail.files` of its message.

    {"mail": {"files": [{"name": "report.csv", "text": "Day,Received\r\n…"}]}}

They are part of the message's text: events don't have them. Metadata may come from callers, so what fits no mail is left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_FILES = 3
#: Of all files of a mail together; what is larger is better fetched.
MAX_CHARACTERS = 65_536
TYPES = {"csv": "text/csv", "txt": "text/plain"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}\.(csv|txt)")


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of text."""

    name: str
    text: str

    @property
    def content_type(self) -> str:
        """What its name says that it is."""
        return TYPES[self.name.rpartition(".")[2]]


def files_of(metadata: Mapping[str, Any]) -> tuple[TextFile, ...]:
    """Return the files that a message's metadata name; none if they are too large together."""
    said = metadata.get("mail")
    listed = said.get("files") if isinstance(said, Mapping) else None
    if not isinstance(listed, list):
        return ()
    found = tuple(TextFile(one["name"], one["text"]) for one in listed[:MAX_FILES] if _is_file(one))
    return found if sum(len(file.text) for file in found) <= MAX_CHARACTERS else ()


def without_files(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata without the files, for those who are not told what a message says."""
    said = metadata.get("mail")
    if not isinstance(said, Mapping) or "files" not in said:
        return dict(metadata)
    return {**metadata, "mail": {name: value for name, value in said.items() if name != "files"}}


def _is_file(one: Any) -> bool:
    if not (isinstance(one, Mapping) and isinstance(one.get("name"), str) and isinstance(one.get("text"), str)):
        return False
    return _NAME.fullmatch(one["name"]) is not None
