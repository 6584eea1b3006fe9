"""The portal chat over HTTP: sessions, files, and lines where a WebSocket gets no way through. No cookies: a token in `Authorization`."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import orjson
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from messaging.intake.bodies import problem_of
from posthaste.lib import uploads
from posthaste.lib.addresses import client_ip
from posthaste.lib.json_syntax import wrong_type
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import Forbidden, Invalid, Malformed, NotAllowed, NotFound, TooLarge
from routing.conversations.attachments import MAX_FILE_BYTES, served_type
from routing.conversations.downloads import file_response
from routing.entrances.portal import flood, frames, origins, sessions, writing
from routing.entrances.portal.frames import Position
from routing.models import Entrance, PortalSession

MAX_BODY = 65_536
#: Around the file of an upload.
MULTIPART_BYTES = 10_000
S = TypeVar("S", bound=msgspec.Struct)
View = Callable[..., HttpResponse]


class SignedIdentity(msgspec.Struct, forbid_unknown_fields=True):
    """What the site's server made: see `signing`."""

    payload: str
    signature: str


class SessionIn(msgspec.Struct, forbid_unknown_fields=True):
    """What begins a session; all of it may be left out."""

    identity: SignedIdentity | None = None
    name: str = ""
    language: str = ""


class LineIn(msgspec.Struct, forbid_unknown_fields=True):
    """A visitor's line."""

    client_id: str
    text: str = ""
    files: list[UUID] = []


class ReadIn(msgspec.Struct, forbid_unknown_fields=True):
    """Up to which line of the current conversation the visitor has read."""

    seq: int


def chat_view(*methods: str, find: Callable[[Any], Entrance] = sessions.entrance_of) -> Callable[[View], Callable[..., HttpResponse]]:
    """Make a view of a portal entrance: its sites may call it, problems are answered as such, nothing is cached."""

    def decorate(view: View) -> Callable[..., HttpResponse]:
        @csrf_exempt  # there are no cookies that another site could use
        @wraps(view)
        def answered(request: HttpRequest, entrance: UUID | str, **rest: str) -> HttpResponse:
            origin, sites = origins.origin_of(request), []
            try:
                row = find(entrance)
                sites = sessions.settings_of(row).sites
                if not origins.is_allowed(origin, sites=sites, host=request.get_host()):
                    origin = ""
                    raise Forbidden(_("This site may not use the chat. Add its origin to the sites of the entrance."))
                response = _dispatched(view, methods, request, row, rest)
            except Exception as error:
                problem = from_exception(error)
                if problem is None:
                    raise
                response = problem.as_response()
            origins.allow_calls(response, origin=origin)
            origins.allow_frames(response, sites=sites)
            add_never_cache_headers(response)
            return response

        return answered

    return decorate


def _dispatched(view: View, methods: tuple[str, ...], request: HttpRequest, entrance: Entrance, rest: dict[str, str]) -> HttpResponse:
    if request.method == "OPTIONS":
        response = HttpResponse(status=204)
        origins.allow_preflight(response)
        return response
    if request.method not in methods:
        raise NotAllowed(_("Use {methods}.").format(methods=", ".join(methods)), headers={"Allow": ", ".join(("OPTIONS", *methods))})
    return view(request, entrance, **rest)


def _length(request: HttpRequest) -> int:
    """Return how long a body is said to be; 0 where that is not said, or is no number."""
    said = request.headers.get("Content-Length") or ""
    return int(said) if said.isdecimal() and len(said) < 20 else 0


def as_json(body: Any, status: int = 200) -> HttpResponse:
    """Return an answer in JSON."""
    return HttpResponse(orjson.dumps(body), content_type="application/json", status=status)


def body_of(request: HttpRequest, shape: type[S]) -> S:
    """Return the body of a request.

    Raises:
        UnsupportedType, TooLarge, Malformed, Invalid: it is not JSON of this shape.
    """
    if request.content_type != "application/json":
        raise wrong_type()
    if _length(request) > MAX_BODY or len(request.body) > MAX_BODY:
        raise TooLarge(_("At most {n} bytes of JSON.").format(n=MAX_BODY))
    try:
        return msgspec.json.decode(request.body or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise Invalid(errors=[problem_of(error)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed(_("The body is not valid JSON.")) from None


def session_of(request: HttpRequest, entrance: Entrance) -> PortalSession:
    """Return the session whose token a request carries.

    Raises:
        SessionEnded: there is none.
    """
    kind, _space, token = request.headers.get("Authorization", "").partition(" ")
    return sessions.find(entrance.pk, token.strip() if kind.lower() == "bearer" else "", now=timezone.now())


@chat_view("POST")
def begin_session(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Begin a session, of a visitor that the site has signed or of a new one."""
    now, body = timezone.now(), body_of(request, SessionIn)
    flood.enter_session(sessions.settings_of(entrance), entrance_id=entrance.pk.hex, ip=client_ip(request))
    signed = body.identity or SignedIdentity("", "")
    visitor = sessions.visitor_of(entrance, payload=signed.payload, signature=signed.signature, name=body.name, now=now)
    session, token = sessions.begin(entrance, visitor, language=body.language or get_language() or "", now=now)
    return as_json({"session": str(session.pk), "token": token, "expires_at": session.expires_at.isoformat()}, 201)


@chat_view("GET", "POST")
def lines(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Return the lines that a visitor lacks (GET), or take in one (POST)."""
    session = session_of(request, entrance)
    if request.method == "POST":
        body = body_of(request, LineIn)
        stored = writing.write_line(
            session, client_id=body.client_id, text=body.text, file_ids=body.files, ip=client_ip(request), now=timezone.now()
        )
        return as_json({"type": "accepted", "client_id": body.client_id, "known": not stored.is_new}, 202)
    found = frames.lines_after(session, position_of(request.GET.get("conversation", ""), request.GET.get("after", "")))
    shown = [frames.line_frame(line) for line in found]
    return as_json({"lines": shown, "more": len(found) == frames.PAGE, "snapshot": frames.state_of(session, now=timezone.now())})


def position_of(conversation: str, after: str) -> Position | None:
    """Return the place behind which lines are wanted; None: the visitor has none yet.

    Raises:
        Invalid: it is no id, or no number.
    """
    if not conversation and not after:
        return None
    try:
        identifier = UUID(conversation)
    except ValueError:
        raise Invalid.field("conversation", _("The id of the conversation that the last line belongs to.")) from None
    if not after.isdecimal() or len(after) > 9:
        raise Invalid.field("after", _("The number of the last line that has arrived."))
    return Position(identifier, int(after))


@chat_view("POST")
def read(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Note up to where a visitor has read."""
    writing.read_up_to(session_of(request, entrance), seq=body_of(request, ReadIn).seq)
    return HttpResponse(status=204)


@chat_view("POST")
def upload(request: HttpRequest, entrance: Entrance) -> HttpResponse:
    """Take in the field `file` of a multipart form, for a line that will name it."""
    session = session_of(request, entrance)
    if _length(request) > MAX_FILE_BYTES + MULTIPART_BYTES:
        raise uploads.too_large(MAX_FILE_BYTES)
    sent = uploads.file_of(request)
    file = writing.upload(session, name=sent.name or "", content=sent.read(), ip=client_ip(request), now=timezone.now())
    return as_json({"id": str(file.pk), "name": file.name, "type": served_type(file.content_type), "size": file.size}, 201)


def download(request: HttpRequest, signed: str) -> HttpResponse:
    """Return a file of a line, only ever as a download. The address is the permission, for an hour; cookies play no part."""
    file = frames.file_at(signed) if request.method in ("GET", "HEAD") else None
    if file is None:
        return NotFound(_("This address has expired. Get a new one from the conversation.")).as_response()
    return file_response(file)
