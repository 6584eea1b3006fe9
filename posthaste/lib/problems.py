"""Errors of the API: RFC 9457 `application/problem+json`, one shape everywhere.

    {"type": "/docs/errors#validation", "title": "…", "status": 422, "code": "validation",
     "detail": "what to do", "errors": [{"field": "recipients[3].recipient", "code": "invalid", "message": "…"}]}

Raised where the rule lives as a `Problem`; turned into a response in `problem_responses` and nowhere else.

However much is wrong, an answer is small: `bounded` keeps the first hundred errors, shortens long names, and counts the rest in one last
entry, whose code is `more`. Every `Problem` is bounded. Code that may find very many errors makes them with `errors_for`, so that no more
of them are made than are told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

import orjson
from django.http import HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

CONTENT_TYPE = "application/problem+json"
MAX_ERRORS = 100
MAX_FIELD_CHARACTERS = 200
MAX_MESSAGE_CHARACTERS = 1_000
MAX_DETAIL_CHARACTERS = 4_000
MORE = "more"  # the code of the entry that counts the errors that are not listed
Item = TypeVar("Item")


def shortened(text: str, max_characters: int = MAX_MESSAGE_CHARACTERS) -> str:
    """Return a text that may quote what a caller sent, cut to a length."""
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"


def more_errors(number: int, field: str = "") -> dict[str, Any]:
    """Return the entry that counts the errors that are not listed."""
    return {"field": field, "code": MORE, "message": gettext("And {n} more.").format(n=number), "count": number}


def bounded(errors: Iterable[Mapping[str, Any]], *, max_errors: int = MAX_ERRORS) -> list[dict[str, Any]]:
    """Return the first errors, names and messages shortened, and an entry that counts the others where there are more."""
    kept: list[dict[str, Any]] = []
    others = 0
    for error in errors:
        if error.get("code") == MORE:
            others += int(error.get("count", 1))
        elif len(kept) == max_errors:
            others += 1
        else:
            field, message = error.get("field"), error.get("message")
            kept.append(dict(error))
            if isinstance(field, str):
                kept[-1]["field"] = shortened(field, MAX_FIELD_CHARACTERS)
            if isinstance(message, str):
                kept[-1]["message"] = shortened(message)
    return [*kept, more_errors(others)] if others else kept


def errors_for(
    items: Collection[Item], describe: Callable[[Item], Mapping[str, Any]], *, max_errors: int = MAX_ERRORS
) -> list[dict[str, Any]]:
    """Return an error for each of the first items, and an entry that counts the others: they cost nothing."""
    errors = [dict(describe(item)) for item in islice(items, max_errors)]
    return [*errors, more_errors(len(items) - max_errors)] if len(items) > max_errors else errors


class Problem(Exception):
    """The request is invalid for a reason not listed here."""

    # The base of every error a caller can be told about; the reference shows what each class says of itself.

    status = 400
    code = "bad_request"
    title: "str | Promise" = _("Bad request")

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
        self.errors = bounded(errors)
        self.headers = dict(headers or {})
        self.extra = extra

    def as_dict(self) -> dict[str, Any]:
        """Return the problem document, its texts in the language that is active now."""
        document: dict[str, Any] = {
            "type": f"/docs/errors#{self.code}",
            "title": str(self.title),
            "status": self.status,
            "code": self.code,
        }
        if self.detail:
            document["detail"] = shortened(str(self.detail), MAX_DETAIL_CHARACTERS)
        if self.errors:
            document["errors"] = self.errors
        return document | self.extra

    def as_bytes(self) -> bytes:
        """Return the problem document as JSON, in the language that is active now."""
        return orjson.dumps(self.as_dict(), default=str)

    def as_response(self) -> HttpResponse:
        """Return the problem as an HTTP response."""
        response = HttpResponse(self.as_bytes(), content_type=CONTENT_TYPE, status=self.status)
        for name, value in self.headers.items():
            response[name] = value
        return response


class Invalid(Problem):
    """Fields are wrong; each is named in `errors`."""

    status, code, title = 422, "validation", _("The request has invalid fields")

    @classmethod
    def field(cls, field: str, message: str, code: str = "invalid") -> "Invalid":
        """Make the problem for one field."""
        return cls(errors=[{"field": field, "code": code, "message": message}])

    def renamed(self, names: Mapping[str, str]) -> "Invalid":
        """Return the same problem with fields called as the caller knows them, by the names they have here."""
        return Invalid(self.detail, errors=[{**error, "field": names.get(error["field"], error["field"])} for error in self.errors])


class Malformed(Problem):
    """The body is not valid JSON."""

    status, code, title = 400, "malformed", _("The body could not be read")


class Unauthenticated(Problem):
    """Send a valid API key in the Authorization header. Check that the key has not been revoked and has not expired."""

    status, code, title = 401, "unauthenticated", _("A valid API key is needed")

    def __init__(self, detail: "str | Promise" = "") -> None:
        super().__init__(
            detail or _("Send the header 'Authorization: Bearer <API key>'."), headers={"WWW-Authenticate": 'Bearer realm="posthaste"'}
        )


class SignedOut(Problem):
    """The session has ended. Sign in again."""

    status, code, title = 401, "signed_out", _("Your session has ended")


class Forged(Problem):
    """The token in `X-CSRFToken` is missing, or older than the last sign-in. Reload the page, then try again."""

    status, code, title = 403, "csrf", _("The page is out of date")


class Forbidden(Problem):
    """The key lacks the scope, or can't be used from this address."""

    status, code, title = 403, "forbidden", _("Permission denied")


class NotFound(Problem):
    """The object does not exist, or it belongs to another tenant."""

    status, code, title = 404, "not_found", _("Not found")


class NotAllowed(Problem):
    """The address exists but does not support this method. `Allow` lists the supported ones."""

    status, code, title = 405, "method_not_allowed", _("This method is not allowed here")


class NotAcceptable(Problem):
    """The `Accept` header asks for something other than JSON."""

    status, code, title = 406, "not_acceptable", _("Only JSON is supported")


class BodyTimeout(Problem):
    """Send the whole body without pauses, on a new connection. Nothing was stored."""

    status, code, title = 408, "body_timeout", _("The body did not arrive in time")


class Conflict(Problem):
    """The object is in a state that does not allow this."""

    status, code, title = 409, "conflict", _("This conflicts with the current state")


class TooLarge(Problem):
    """The request exceeds the size limit."""

    status, code, title = 413, "too_large", _("The request is too large")


class UnsupportedType(Problem):
    """The body is not declared as JSON in UTF-8, or it is compressed."""

    status, code, title = 415, "unsupported_type", _("This kind of body is not supported")


class TooMany(Problem):
    """A limit was reached."""

    status, code, title = 429, "too_many_requests", _("Too many requests")

    def __init__(self, detail: "str | Promise" = "", *, retry_after_seconds: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)}, **extra)


class Internal(Problem):
    """An internal error. The details are logged. Anything stored before it is kept."""

    status, code, title = 500, "internal", _("Something went wrong on our side")


class Unavailable(Problem):
    """A required component is unavailable. If a response was lost, the request may still have been stored."""

    status, code, title = 503, "unavailable", _("Temporarily unavailable")

    def __init__(self, detail: "str | Promise" = "", *, retry_after_seconds: int = 2) -> None:
        super().__init__(
            detail or _("Try again shortly. With the same Idempotency-Key, nothing is accepted twice."),
            headers={"Retry-After": str(retry_after_seconds)},
        )
