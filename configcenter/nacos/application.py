"""The ASGI application behind /nacos/: how a request is read, and how an answer or a refusal is written.

Refusals are the problem documents of the REST API, under the status codes that Nacos clients know: 403 also where a token is
missing or has expired, 400 for fields that are wrong and for a write to what is not there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from django.utils.translation import gettext as _

from configcenter.nacos import protocol
from configcenter.nacos.protocol import Answer
from configcenter.nacos.refusals import Refusals
from configcenter.nacos.routes import ROUTES, Call, Route, identified, in_thread
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.body_reading import Deadline, Places, SlowBody
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import CONTENT_TYPE, Internal, Invalid, Malformed, NotAllowed, NotFound, Problem, TooLarge

log = structlog.get_logger(__name__)
ROOT = "/nacos/v1"
#: A MiB of content, each byte URL-encoded as three.
MAX_BODY_BYTES = 4 * 1024 * 1024
SMALL_BYTES = 64 * 1024
MAX_LARGE_BODIES = 32  # that are read at a time
refusals = Refusals()
_places = Places(MAX_LARGE_BODIES)


async def nacos(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one HTTP request below /nacos/ (ASGI)."""
    call = None
    try:
        path, route = _route(scope)
        call = await _read(scope, receive, route)
        answer = await _answer(scope["method"], path, route, call)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
        problem = problem_of(error)
        await _slow_down(scope, call, problem)
        answer = _refusal(problem, scope["method"])
    headers = [
        (b"content-type", answer.kind.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *((field.lower().encode(), value.encode("latin-1")) for field, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


def _is_read(method: str) -> bool:
    return method in ("GET", "HEAD")


def _route(scope: dict[str, Any]) -> tuple[str, Route]:
    path = scope["path"].rstrip("/").removeprefix(ROOT)
    methods = ROUTES.get(path) if scope["path"].startswith(f"{ROOT}/") else None
    if methods is None:
        raise NotFound(_("Only the configuration part of the Nacos Open API v1 is supported. See docs/nacos.md."))
    route = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
    if route is None:
        raise NotAllowed(headers={"Allow": ", ".join(methods)})
    return path, route


async def _read(scope: dict[str, Any], receive: Any, route: Route) -> Call:
    """Read a request. A large body is read from few clients at a time, and not from one whose query or headers show that it may not."""
    headers, query = _headers(scope), scope.get("query_string", b"")
    address = _address(scope, headers)
    if _has_small_body(headers):
        return Call(protocol.parameters(query, await _body(receive)), headers, address, receive)
    _refuse_length(headers)
    begun = Call(protocol.parameters(query), headers, address, receive)
    if route.scopes is not None and begun.shows_credentials:
        (await identified(begun)).must(*route.scopes)
    place = await _places.take(address)
    try:
        body = await _body(receive)
    finally:
        place.give_back()
    return replace(begun, fields=protocol.parameters(query, body))


async def _answer(method: str, path: str, route: Route, call: Call) -> Answer:
    if route.scopes is None:
        return await in_thread(route.handler, call)  # type: ignore[no-any-return]
    who = await identified(call)
    who.must(*route.scopes)
    protocol.check_supported("GET" if method == "HEAD" else method, path, call.fields)
    if asyncio.iscoroutinefunction(route.handler):
        return await route.handler(call, who)  # type: ignore[no-any-return]
    return await in_thread(route.handler, call, who)  # type: ignore[no-any-return]


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    """Return the headers by their names in small letters; the values of one that is repeated with commas between them, as in RFC 9110."""
    found: dict[str, str] = {}
    for field, value in scope["headers"]:
        name, text = field.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def _address(scope: dict[str, Any], headers: Mapping[str, str]) -> str:
    remote = (scope.get("client") or ("127.0.0.1", 0))[0]
    return client_ip_behind_proxies(remote=remote, forwarded_for=headers.get("x-forwarded-for", ""))


def _has_small_body(headers: Mapping[str, str]) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" not in headers and length.isascii() and length.isdecimal() and int(length[:12]) <= SMALL_BYTES


def _too_large() -> TooLarge:
    return TooLarge(_("At most {n} MiB per request.").format(n=MAX_BODY_BYTES >> 20))


def _refuse_length(headers: Mapping[str, str]) -> None:
    said = headers.get("content-length", "0")
    if said.isascii() and said.isdecimal() and int(said[:12]) > MAX_BODY_BYTES:
        raise _too_large()


async def _body(receive: Any) -> bytes:
    """Read the form, up to the limits of size and time."""
    chunks: list[bytes] = []
    size = 0
    deadline = Deadline()
    while True:
        message = await _next(receive, deadline)
        if message["type"] != "http.request":
            raise Malformed(_("The request ended before its body was complete."))
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        deadline.note(len(chunks[-1]))
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body"):
            return b"".join(chunks)


async def _next(receive: Any, deadline: Deadline) -> Any:
    seconds = deadline.left()
    try:
        async with asyncio.timeout(seconds):
            return await receive()
    except TimeoutError:
        raise SlowBody("the body did not come in time") from None


#: Our status → the one that Nacos clients know.
STATUSES = {401: 403, 422: 400}


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of an error, with the fields called as Nacos clients know them."""
    problem: Problem | None = from_exception(error)
    if problem is None:
        log.error("Nacos request failed", exc_info=error)
        return Internal()
    return problem.renamed(protocol.FIELDS) if isinstance(problem, Invalid) else problem


async def _slow_down(scope: dict[str, Any], call: Call | None, problem: Problem) -> None:
    """Hold back the refusal of a client that asks again and again. That a text is not there is a usual answer, and no refusal."""
    if problem.status >= 500 or problem.status == 409 or (problem.status == 404 and _is_read(scope["method"])):
        return
    headers = _headers(scope)
    address = _address(scope, headers)
    await refusals.hold_back(
        address,
        call.shown.hex() if call is not None else address,
        is_listener=scope["path"].endswith("/listener") and "long-pulling-timeout" in headers,
        status=problem.status,
        code=problem.code,
    )


def _refusal(problem: Problem, method: str) -> Answer:
    status = STATUSES.get(problem.status, problem.status)
    if status == 404 and not _is_read(method):
        status = 400  # clients take 404 for success: nothing was there to be changed
    document = problem.as_dict() | {"status": status}
    body = protocol.json(document).body
    headers = tuple((field, value) for field, value in problem.headers.items() if field != "WWW-Authenticate")
    return Answer(body, status=status, kind=CONTENT_TYPE, headers=headers)
