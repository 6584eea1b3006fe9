"""Bodies in JSON, read and written by orjson: strict, UTF-8 only, and nothing in them that can't be stored."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from posthaste.lib.problems import Malformed

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # not the text backslash-u0000, whose backslash is escaped itself


def refuse_nul(body: bytes) -> None:
    """Refuse JSON with the character NUL, which PostgreSQL stores nowhere.

    Raises:
        Malformed: it is there.
    """
    if b"\0" in body or (b"\\u0000" in body and _ESCAPED_NUL.search(body)):
        raise Malformed(_("The character NUL can't be stored; remove it."))


class OrjsonRenderer(BaseRenderer):
    """JSON by orjson; problems keep their own content type."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


class OrjsonParser(BaseParser):
    """JSON by orjson: strict, no NaN, UTF-8 only."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        # `body` and not read(): it keeps to DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.body if isinstance(stream, HttpRequest) else stream.read()
        refuse_nul(body)
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"Not valid JSON: {error}") from None
