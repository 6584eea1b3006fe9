"""Errors of the API: RFC 9457 `application/problem+json`, one shape everywhere.

    {"type": "/docs/errors#validation", "title": "…", "status": 422, "code": "validation",
     "detail": "what to do", "errors": [{"field": "recipients[3].recipient", "code": "invalid", "message": "…"}]}

Raised where the rule lives as a `Problem`; turned into a response here and nowhere else.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response

from posthaste.lib.groupcommit import TimedOut

log = logging.getLogger(__name__)
CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """The request is broken in another way than those listed here."""

    # The base of every error a caller can be told about; the reference shows what each class says of itself.

    status = 400
    code = "bad_request"
    title = "Bad request"

    def __init__(
        self,
        detail: "str | Promise" = "",
        *,
        errors: Iterable[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def as_dict(self) -> dict[str, Any]:
        """This function will give the problem document."""
        document: dict[str, Any] = {"type": f"/docs/errors#{self.code}", "title": self.title, "status": self.status, "code": self.code}
        if self.detail:
            document["detail"] = self.detail
        if self.errors:
            document["errors"] = self.errors
        return document | self.extra

    def as_response(self) -> HttpResponse:
        """This function will give the problem as an HTTP response."""
        response = HttpResponse(orjson.dumps(self.as_dict(), default=str), content_type=CONTENT_TYPE, status=self.status)
        for name, value in self.headers.items():
            response[name] = value
        return response


class Invalid(Problem):
    """Fields are wrong; each is named in `errors`."""

    status, code, title = 422, "validation", "The request has invalid fields"

    @classmethod
    def field(cls, field: str, message: str, code: str = "invalid") -> "Invalid":
        """This function will make the problem for one field."""
        return cls(errors=[{"field": field, "code": code, "message": message}])


class Malformed(Problem):
    """The body is not the JSON it says it is."""

    status, code, title = 400, "malformed", "The body could not be read"


class Unauthenticated(Problem):
    """No valid API key."""

    status, code, title = 401, "unauthenticated", "A valid API key is needed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(
            detail or "Send the header 'Authorization: Bearer <API key>'.", headers={"WWW-Authenticate": 'Bearer realm="posthaste"'}
        )


class Forbidden(Problem):
    """The key lacks the scope, or may not be used from this address."""

    status, code, title = 403, "forbidden", "This key may not do that"


class NotFound(Problem):
    """There is no such thing, or it belongs to somebody else."""

    status, code, title = 404, "not_found", "Not found"


class NotAllowed(Problem):
    """The address exists, but not for this method; `Allow` names those it has."""

    status, code, title = 405, "method_not_allowed", "This method is not allowed here"


class NotAcceptable(Problem):
    """The `Accept` header asks for something other than JSON."""

    status, code, title = 406, "not_acceptable", "Only JSON is spoken here"


class Conflict(Problem):
    """The thing is in a state that does not allow this."""

    status, code, title = 409, "conflict", "This conflicts with the present state"


class TooLarge(Problem):
    """More than one request may carry."""

    status, code, title = 413, "too_large", "The request is too large"


class UnsupportedType(Problem):
    """The body is not declared as JSON."""

    status, code, title = 415, "unsupported_type", "The body must be application/json"


class TooMany(Problem):
    """A limit was reached."""

    status, code, title = 429, "too_many_requests", "Too many requests"

    def __init__(self, detail: "str | Promise" = "", *, retry_after_seconds: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)}, **extra)


class Internal(Problem):
    """A fault of ours. It is in the log with its details; what was stored before it stays."""

    status, code, title = 500, "internal", "Something went wrong on our side"


class Unavailable(Problem):
    """A part that is needed is away. Where an answer was lost on the way, the request may have been stored all the same."""

    status, code, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 2) -> None:
        super().__init__(
            detail or _("Try again shortly; with the same Idempotency-Key nothing is accepted twice."),
            headers={"Retry-After": str(retry_after_seconds)},
        )


def _flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested error detail as flat entries with a path such as `recipients[3].recipient`."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            if name == "non_field_errors":
                yield from _flatten(inner, path)
            elif isinstance(name, int):  # a list of which only some entries are wrong
                yield from _flatten(inner, f"{path}[{name}]")
            else:
                yield from _flatten(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, f"{path}[{index}]" if nested else path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "message": str(detail)}


def from_exception(error: Exception) -> Problem | None:
    """This function will give the problem that stands for an exception, or None if it is a fault of ours."""
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return Invalid(errors=[entry for entry in _flatten(error.detail) if entry["message"]])
        case exceptions.ParseError():
            return Malformed(str(error.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthenticated(str(error.detail) if isinstance(error, exceptions.AuthenticationFailed) else "")
        case exceptions.PermissionDenied() | PermissionDenied():
            return Forbidden(str(error) or "")
        case exceptions.NotFound() | Http404():
            return NotFound(_("There is nothing at this address that this key can see."))
        case exceptions.MethodNotAllowed():
            return NotAllowed(str(error.detail))
        case exceptions.NotAcceptable():
            return NotAcceptable(str(error.detail))
        case exceptions.UnsupportedMediaType():
            return UnsupportedType(str(error.detail))
        case RequestDataTooBig():
            return TooLarge(_("At most {n} MiB a request.").format(n=settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20))
        case exceptions.Throttled():
            return TooMany(str(error.detail), retry_after_seconds=int(getattr(error, "wait", None) or 1))
        case exceptions.APIException():
            problem = Problem(str(error.detail))
            problem.status, problem.code, problem.title = error.status_code, str(error.default_code), str(error.default_detail)
            return problem
        case TimedOut():
            return Unavailable()
        case OperationalError() | InterfaceError():
            log.error("database unavailable", exc_info=error)
            return Unavailable()
    if type(error).__name__ == "PoolTimeout":
        return Unavailable()
    return None


def exception_handler(error: Exception, _context: Mapping[str, Any]) -> Response | None:
    """DRF's hook: every exception of an API view as a problem."""
    problem = from_exception(error)
    if problem is None:
        return None
    return Response(problem.as_dict(), status=problem.status, headers=problem.headers, content_type=CONTENT_TYPE)


def _page(status: int, code: str, title: str, template: str, request: HttpRequest) -> HttpResponse:
    from django.shortcuts import render

    if request.path.startswith(("/api", "/health")) or "text/html" not in request.headers.get("Accept", ""):
        problem = Problem()
        problem.status, problem.code, problem.title = status, code, title
        return problem.as_response()
    return render(request, template, {"title": title, "status": status}, status=status)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return _page(404, "not_found", _("Not found"), "error.html", request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    return _page(500, "internal", _("Something went wrong on our side"), "error.html", request)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return _page(403, "forbidden", _("You may not do that"), "error.html", request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400."""
    return _page(400, "bad_request", _("Bad request"), "error.html", request)


class OrjsonRenderer(BaseRenderer):
    """JSON by orjson; problems keep their own content type."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=str, option=orjson.OPT_NON_STR_KEYS)


_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # not the text backslash-u0000, whose backslash is escaped itself


def refuse_nul(body: bytes) -> None:
    """This function will refuse JSON with the character NUL, which PostgreSQL stores nowhere.

    Raises:
        Malformed: it is there.
    """
    if b"\0" in body or (b"\\u0000" in body and _ESCAPED_NUL.search(body)):
        raise Malformed(_("The character NUL can't be stored; remove it."))


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


def document_problems(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """drf-spectacular's hook: the shape of errors, on every operation."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "description": "RFC 9457 problem document.",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": {"type": "string"},
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                        "index": {"type": "integer"},
                    },
                },
            },
        },
    }
    answer = {
        "description": "What went wrong, and what to do.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("default", answer)
    return result
