"""Rows of a batch that repeat an earlier one: the same recipient with the same content.

Two rows have the same content if the variables that their template uses are equal; without a template a batch has one text. Nothing is
rendered for it, and nothing is compared before a recipient comes twice. The reference, the time zone and variables that the template
does not use make no difference.

Duplicates across requests are the business of the delivery rules: see `messaging.delivery.rules`.
"""

from enum import StrEnum
from typing import Any

import orjson

from messaging.channels.recipients import list_key
from messaging.content.templates import Wording
from messaging.storage.store import NewRow


class Duplicates(StrEnum):
    """What becomes of a row that repeats an earlier one."""

    SEND = "send"
    DROP = "drop"
    REJECT = "reject"


class EarlierRows:
    """The rows of one batch that were looked at so far, by recipient and content."""

    def __init__(self, wording: Wording | None) -> None:
        self._wording = wording
        self._used: set[str] | None = None  # of the template's variables; found out when they are needed
        self._first: dict[str, tuple[int, NewRow]] = {}
        self._contents: dict[str, dict[bytes, int]] = {}  # of recipients that came twice

    def same_as(self, index: int, row: NewRow) -> int | None:
        """Return the index of the earlier row that this one repeats, or note it as the first and return None."""
        recipient = list_key(row.recipient)
        first = self._first.setdefault(recipient, (index, row))
        if first[1] is row:
            return None
        contents = self._contents.get(recipient)
        if contents is None:
            contents = self._contents[recipient] = {self._content(first[1].variables): first[0]}
        earlier = contents.setdefault(self._content(row.variables), index)
        return None if earlier == index else earlier

    def _content(self, variables: dict[str, Any]) -> bytes:
        if self._wording is None or not variables:
            return b""
        if self._used is None:
            self._used = self._wording.variables_used()
        # Written as JSON, since Python takes 1, 1.0 and True for equal, which a text does not.
        return orjson.dumps({name: variables[name] for name in self._used & variables.keys()}, option=orjson.OPT_SORT_KEYS)
