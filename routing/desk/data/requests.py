"""What all addresses of the desk's data share: the session, the seat, the body, problems as JSON."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import orjson
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import signed_in
from messaging.intake.bodies import problem_of
from posthaste.lib.json_syntax import wrong_type
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import Invalid, Malformed, NotAllowed, SignedOut, TooLarge
from routing.desk.seats import Seat, seat_of
from routing.models import Conversation

MAX_BODY = 262_144
S = TypeVar("S", bound=msgspec.Struct)
View = Callable[..., HttpResponseBase]
#: What an action has made, beside the row of its conversation.
Made = dict[str, Any]


def desk_view(*methods: str) -> Callable[[View], View]:
    """Make a view of the desk's data: it is called with the request and the seat, and what goes wrong is answered as a problem."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                response = _dispatched(view, methods, request, *args, **kwargs)
            except Exception as error:
                problem = from_exception(error)
                if problem is None:
                    raise
                response = problem.as_response()
            add_never_cache_headers(response)
            return response

        return answered

    return decorate


def _dispatched(view: View, methods: tuple[str, ...], request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    if not admin.site.has_permission(request):
        raise SignedOut(_("Sign in again, then repeat what you did."))
    if request.method not in methods:
        raise NotAllowed(_("Use {methods}.").format(methods=", ".join(methods)), headers={"Allow": ", ".join(methods)})
    wanted = request.GET.get("tenant", "")
    seat = seat_of(signed_in(request), tenant_id=int(wanted) if wanted.isdecimal() and len(wanted) < 10 else None)
    return view(request, seat, *args, **kwargs)


def answer(body: Any, status: int = 200) -> HttpResponse:
    """Return a body as JSON."""
    return HttpResponse(orjson.dumps(body), content_type="application/json", status=status)


@dataclass(frozen=True, slots=True)
class Call:
    """Who does something, and with which parameters: a body of its own, or a part of a call for many conversations."""

    by: Actor
    raw: bytes

    def read(self, shape: type[S]) -> S:
        """Return the parameters.

        Raises:
            Malformed, Invalid: they are not JSON of this shape.
        """
        try:
            return msgspec.json.decode(self.raw or b"{}", type=shape)
        except msgspec.ValidationError as error:
            raise Invalid(errors=[problem_of(error)]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed(_("The body is not valid JSON.")) from None


Action = Callable[[Call, Seat, Conversation], Made]


def call_of(request: HttpRequest) -> Call:
    """Return the call that a request makes.

    Raises:
        UnsupportedType, TooLarge: its body is not JSON, or too long.
    """
    if request.content_type != "application/json":
        raise wrong_type()
    if len(request.body) > MAX_BODY:
        raise TooLarge(_("At most {n} bytes of JSON.").format(n=MAX_BODY))
    return Call(by=Actor.of_request(request), raw=request.body)


def ids_in(text: str, *, most: int, field: str = "ids") -> list[UUID]:
    """Return the ids in a parameter, which commas separate.

    Raises:
        Invalid: one is none, or there are too many.
    """
    try:
        found = [UUID(part) for part in text.split(",") if part]
    except ValueError:
        raise Invalid.field(field, _("Must be ids, separated by commas.")) from None
    if len(found) > most:
        raise Invalid.field(field, _("At most {n}.").format(n=most), "too_many")
    return found


def number_in(request: HttpRequest, name: str) -> int | None:
    """Return a number in the address; None: it is not there.

    Raises:
        Invalid: it is no number.
    """
    text = request.GET.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Invalid.field(name, _("Must be a whole number."))
    return int(text)
