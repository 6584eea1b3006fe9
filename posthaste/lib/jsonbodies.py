"""Bodies in JSON, at every entrance of the API alike: how they are declared, and how they are read and written.

orjson reads and writes them: strict, UTF-8 only, and nothing in them that can't be stored.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from django.http import HttpRequest
from django.http.request import MediaType
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAcceptable as NoRenderer
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from posthaste.lib.json_syntax import JSON, not_acceptable, refuse_deep, refuse_nul, why_malformed, wrong_type
from posthaste.lib.problems import Malformed, UnsupportedType

#: What nearly all callers send, so that their headers are compared and not parsed.
USUAL_ACCEPT = frozenset({"", "*/*", JSON})
USUAL_TYPES = frozenset({JSON, *(f"{JSON};{blank}charset={charset}" for blank in ("", " ") for charset in ("utf-8", "UTF-8"))})
#: DRF's negotiation reads no more of either header.
MAX_ACCEPT_LENGTH, MAX_TYPE_LENGTH = 8192, 256


def must_accept_json(accept: str) -> None:
    """Check that a caller accepts an answer in JSON; `accept` is the header, empty where there is none.

    Raises:
        NotAcceptable: It accepts something else only.
    """
    if accept not in USUAL_ACCEPT and not _accepts_json(accept[: MAX_ACCEPT_LENGTH + 1]):
        raise not_acceptable()


def must_be_json(content_type: str, content_encoding: str) -> None:
    """Check how a body is declared, by its headers: JSON, in UTF-8 (RFC 8259, section 8.1), and not compressed.

    Raises:
        UnsupportedType: It is declared otherwise.
    """
    if content_type not in USUAL_TYPES:
        media_type, parameters = _parsed(content_type)
        if media_type != JSON:
            raise wrong_type()
        if parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
            text = _("The body must be JSON in UTF-8. Send the header 'Content-Type: application/json'.")
            raise UnsupportedType(text, headers={"Accept": JSON})
    refuse_encoding(content_encoding)


def _parsed(content_type: str) -> tuple[str, dict[str, str]]:
    if len(content_type) <= MAX_TYPE_LENGTH:
        try:
            return parse_header_parameters(content_type.lower())
        except ValueError:  # a parameter in a character set that does not exist
            pass
    return "", {}


def refuse_encoding(content_encoding: str) -> None:
    """Refuse a compressed body, as RFC 9110, section 15.5.16, says: a small one could fill the memory when it is unpacked.

    Raises:
        UnsupportedType: The body is compressed.
    """
    if content_encoding and content_encoding.strip().lower() != "identity":
        text = _("The body is compressed, which is not supported. Send it without the header Content-Encoding.")
        raise UnsupportedType(text, headers={"Accept-Encoding": "identity"})


class Negotiation(DefaultContentNegotiation):
    """As DRF does it, but what a caller gives no quality (`q=0`) is not accepted (RFC 9110, section 12.4.2)."""

    def get_accept_list(self, request: Request) -> list[str]:
        if not request.headers.get("Accept", "").strip():
            return ["*/*"]
        accepted: list[str] = super().get_accept_list(request)
        return [media_range for media_range in accepted if MediaType(media_range).quality]


@lru_cache(maxsize=256)
def _accepts_json(accept: str) -> bool:
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = accept
    try:
        Negotiation().select_renderer(Request(request), [OrjsonRenderer()])
    except NoRenderer:
        return False
    return True


class OrjsonRenderer(BaseRenderer):
    """JSON by orjson; problems keep their own content type."""

    media_type = JSON
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


class OrjsonParser(BaseParser):
    """JSON by orjson: strict, no NaN, UTF-8 only."""

    media_type = JSON

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        request = (parser_context or {}).get("request")
        must_be_json(media_type or JSON, request.headers.get("Content-Encoding", "") if request is not None else "")
        # `body` and not read(): it keeps to DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.body if isinstance(stream, HttpRequest) else stream.read()
        refuse_nul(body)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise Malformed(why_malformed(body)) from None
        refuse_deep(body, value)
        return value
