"""Reading a CSV file from the body of a request, or from the part `file` of a form."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.parsers import BaseParser, MultiPartParser

from posthaste.lib import uploads
from posthaste.lib.jsonbodies import refuse_encoding
from posthaste.lib.problems import Invalid


class CsvParser(BaseParser):
    """`text/csv`: the body is the file."""

    media_type = "text/csv"

    def parse(  # type: ignore[override]
        self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> bytes:
        request = (parser_context or {}).get("request")
        refuse_encoding(request.headers.get("Content-Encoding", "") if request is not None else "")
        # `body` and not read(): it keeps to DATA_UPLOAD_MAX_MEMORY_SIZE
        body: bytes = stream.body if isinstance(stream, HttpRequest) else stream.read()
        return body


class FileParser(MultiPartParser):
    """`multipart/form-data`: the file is the part `file`."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> bytes:  # type: ignore[override]
        try:
            found = super().parse(stream, media_type, parser_context).files.get("file")
        except uploads.UNREADABLE:
            raise uploads.unreadable() from None
        if found is None:
            raise Invalid.field("file", _("Send the file as the part named file."), "required")
        content: bytes = found.read()
        return content
