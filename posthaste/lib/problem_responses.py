"""From whatever went wrong to what the caller is told: exceptions as problems, in the API, on Django's pages, in the reference."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from rest_framework import exceptions

from posthaste.lib import languages
from posthaste.lib.batching import TimedOut
from posthaste.lib.body_reading import NoPlace, SlowBody
from posthaste.lib.json_syntax import not_acceptable, wrong_type
from posthaste.lib.problems import (
    CONTENT_TYPE,
    MAX_ERRORS,
    MORE,
    BodyTimeout,
    Forbidden,
    Forged,
    Internal,
    Invalid,
    Malformed,
    NotAllowed,
    NotFound,
    Problem,
    SignedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    more_errors,
)

if TYPE_CHECKING:
    from rest_framework.response import Response

log = structlog.get_logger(__name__)
#: Addresses that only scripts and programs ask, whatever they accept.
SCRIPTS_ONLY = ("/api", "/health", "/desk/data/")


class Reply(NamedTuple):
    """A finished answer; the names of its headers are in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def _flatten(detail: Any, path: str = "") -> Iterator[dict[str, Any]]:
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
    elif getattr(detail, "code", "") == MORE:  # its text is the number: see `accounts.api.base.Body`
        yield more_errors(int(detail), path)
    else:
        yield {"field": path, "code": getattr(detail, "code", "invalid"), "message": str(detail)}


def _was_slow(error: BaseException | None) -> bool:
    """Return whether a body came too slowly; Django wraps that error, once or twice."""
    while error is not None and not isinstance(error, SlowBody):
        error = error.__cause__
    return error is not None


def from_exception(error: BaseException) -> Problem | None:
    """Return the problem that stands for an exception, or None if it is a fault of ours."""
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return Invalid(errors=(entry for entry in _flatten(error.detail) if entry["message"]))
        case exceptions.ParseError():
            return Malformed(str(error.detail))
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return Unauthenticated(str(error.detail) if isinstance(error, exceptions.AuthenticationFailed) else "")
        case exceptions.PermissionDenied() | PermissionDenied():
            return Forbidden(str(error) or "")
        case exceptions.NotFound() | Http404():
            return NotFound(_("There is nothing at this address that this key can access."))
        case exceptions.MethodNotAllowed():
            return NotAllowed(str(error.detail))
        case exceptions.NotAcceptable():
            return not_acceptable()
        case exceptions.UnsupportedMediaType():
            return wrong_type()
        case SlowBody() | UnreadablePostError() if _was_slow(error):
            log.info("a body did not come in time")
            return BodyTimeout(_("Send the whole body without pauses."), headers={"Connection": "close"})
        case UnreadablePostError():
            log.info("a client left before its body was complete")
            return Malformed(_("The request ended before its body was complete."))
        case NoPlace():
            return Unavailable(_("Too many large requests are being read. Try again shortly."), retry_after_seconds=10)
        case RequestDataTooBig():
            return TooLarge(_("At most {n} MiB per request.").format(n=settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20))
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


def reply_to(error: BaseException, *, language: str, headers: Iterable[tuple[str, str]] = ()) -> Reply:
    """Return what a caller is told about an error, in the caller's language. What is no problem of the caller's is logged.

    `headers`: what the answer carries besides those of the problem.
    """
    with translation.override(language):
        problem = from_exception(error)
        if problem is None:
            log.error("request failed", exc_info=error)
            problem = Internal()
        body = problem.as_bytes()
    own = [("content-type", CONTENT_TYPE), *((name.lower(), value) for name, value in problem.headers.items())]
    return Reply(problem.status, [*own, *headers, ("content-language", language), languages.VARY], body)


def exception_handler(error: Exception, _context: Mapping[str, Any]) -> "Response | None":
    """DRF's hook: every exception of an API view as a problem."""
    from rest_framework.response import Response  # and with it all of DRF, which `ws` does without

    problem = from_exception(error)
    if problem is None:
        return None
    return Response(problem.as_dict(), status=problem.status, headers=problem.headers, content_type=CONTENT_TYPE)


def _no_frame(_request: HttpRequest) -> dict[str, Any]:
    return {}


#: Returns what the frame of a page needs, where the reader has one: set by `posthaste.ui`, which stands above this module.
frame_of: Callable[[HttpRequest], dict[str, Any]] = _no_frame


def error_context(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the frame around an error, or nothing: an error must never fail for the sake of its frame."""
    try:
        return frame_of(request)
    except Exception:  # such as a database that is away, which may be the error itself
        log.warning("an error is shown without its frame", exc_info=True)
        return {}


def wants_no_page(request: HttpRequest) -> bool:
    """Return whether an error is no page: the address is for programs, or the reader does not ask for one."""
    return request.path.startswith(SCRIPTS_ONLY) or "text/html" not in request.headers.get("Accept", "")


def _page(status: int, code: str, title: str, template: str, request: HttpRequest, detail: str = "") -> HttpResponse:
    from django.shortcuts import render

    if wants_no_page(request):
        problem = Problem(detail)
        problem.status, problem.code, problem.title = status, code, title
        return problem.as_response()
    context = {**error_context(request), "title": title, "status": status, "detail": detail}
    return render(request, template, context, status=status)


def is_for_script(request: HttpRequest) -> bool:
    """Return whether a script asks, which can do nothing with a page: it says that it wants JSON."""
    accepted = request.headers.get("Accept", "")
    return "json" in accepted and "text/html" not in accepted


def _is_to_login(response: HttpResponse) -> bool:
    return response.status_code == 302 and response["Location"].partition("?")[0] == reverse("admin:login")


class ProblemPages:
    """Middleware: a problem that a page raises is an answer with its status, such as 404 for what was deleted meanwhile, and no error.

    A script whose session has ended is told so; led to the login it would read that page as its answer.
    An address with the character NUL names nothing, and is not looked up: PostgreSQL takes no such text.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info:
            return not_found(request)
        response = self.get_response(request)
        if is_for_script(request) and _is_to_login(response):
            return SignedOut(_("Sign in again, then repeat what you did.")).as_response()
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a problem; leave everything else to Django."""
        if not isinstance(exception, Problem) or exception.status >= 500:
            return None
        response = _page(exception.status, exception.code, str(exception.title), "error.html", request, str(exception.detail))
        for name, value in exception.headers.items():
            response[name] = value
        return response


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler404."""
    return _page(404, "not_found", _("Not found"), "error.html", request)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500."""
    return _page(500, "internal", _("Something went wrong on our side"), "error.html", request)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler403."""
    return _page(403, "forbidden", _("You don't have permission to do that"), "error.html", request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form or script without a valid token: the setting CSRF_FAILURE_VIEW."""
    log.info("a request without a valid CSRF token", path=request.path, reason=reason)
    detail = _("You signed in or out since this page was opened. Reload it, then try again.")
    return _page(403, Forged.code, str(Forged.title), "error.html", request, detail)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler400."""
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        detail = ""
        if isinstance(exception, RequestDataTooBig):
            detail = _("At most {n} MiB per request.").format(n=settings.DATA_UPLOAD_MAX_MEMORY_SIZE >> 20)
        return _page(413, TooLarge.code, str(TooLarge.title), "error.html", request, detail)
    return _page(400, "bad_request", _("Bad request"), "error.html", request)


def _allow_both(node: Any) -> None:
    """Turn `oneOf` into `anyOf` where one choice is a blank text or anything: a value may fit the other as well, which oneOf forbids."""
    if isinstance(node, list):
        for entry in node:
            _allow_both(entry)
    elif isinstance(node, dict):
        if any(choice in ({}, {"type": "string", "maxLength": 0}) for choice in node.get("oneOf", ())):
            node["anyOf"] = node.pop("oneOf")
        for entry in node.values():
            _allow_both(entry)


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
                "description": f"The first {MAX_ERRORS}. Where there are more, a last entry with the code `{MORE}` counts the others.",
                "items": {
                    "type": "object",
                    "required": ["field", "code", "message"],
                    "properties": {
                        "field": {"type": "string"},
                        "code": {"type": "string"},
                        "message": {"type": "string"},
                        "index": {"type": "integer"},
                        "count": {"type": "integer", "description": f"With the code `{MORE}`: how many errors are not listed."},
                    },
                },
            },
        },
    }
    _allow_both(result)
    answer = {
        "description": "What went wrong, and what to do.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict) and "responses" in operation:
                operation["responses"].setdefault("default", answer)
    return result
