"""The ASGI application behind /nacos/: its addresses, how a request is read, and how an answer or a refusal is written.

Refusals are the problem documents of the REST API, under the status codes that Nacos clients know: 403 also where a token is
missing or has expired, 400 for fields that are wrong.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import structlog
from channels.db import DatabaseSyncToAsync
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import get_tenant
from configcenter.models import PUBLIC
from configcenter.nacos import items, protocol
from configcenter.nacos.identity import TOKEN_SECONDS, Who, identify, sign_in
from configcenter.nacos.listening import Key, Listeners
from configcenter.nacos.protocol import Answer
from configcenter.nacos.sharing import Shared
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from configcenter.services import items as config_items
from configcenter.services.namespaces import Place, name, namespaces, place, writable
from posthaste.lib.addresses import client_ip_behind_proxies
from posthaste.lib.problem_responses import from_exception
from posthaste.lib.problems import CONTENT_TYPE, Internal, Malformed, NotAllowed, NotFound, Problem, TooLarge

log = structlog.get_logger(__name__)
ROOT = "/nacos/v1"
#: A MiB of content, each byte URL-encoded as three.
MAX_BODY_BYTES = 4 * 1024 * 1024
VERSION = "1.4.6"  # of the server whose API this is
#: Few, as each holds a database connection while it works; clients that wait for a change occupy none of them.
THREADS = 4
SEEN_SECONDS = 1.0
MAX_SEEN = 10_000
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="nacos")


async def in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run what asks the database outside the event loop; the connection goes back when it is done."""
    return await DatabaseSyncToAsync(function, thread_sensitive=False, executor=_threads)(*args, **kwargs)


listeners = Listeners(in_thread)
texts: Shared[items.Shown] = Shared()


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its query and form as one, its headers in small letters, from where, and the rest of what the server tells."""

    fields: Mapping[str, str]
    headers: Mapping[str, str]
    ip: str
    receive: Callable[[], Awaitable[Any]]


# --- what each address does ----------------------------------------------------------------------------------------


async def _get(call: Call, who: Who) -> Answer:
    if call.fields.get("search") in ("accurate", "blur"):
        return await in_thread(items.listing, who=who, fields=call.fields)  # type: ignore[no-any-return]
    where = place(who, call.fields.get("tenant", "")), protocol.group(call.fields), protocol.data_id(call.fields)
    shown = await texts.read(where, lambda: in_thread(items.in_force, *where))
    headers = {"Content-MD5": shown.md5, "Config-Type": shown.format, "Cache-Control": "no-cache,no-store", "Pragma": "no-cache"}
    if shown.at is not None:
        headers["Last-Modified"] = format_datetime(shown.at, usegmt=True)
    if call.fields.get("show") == "all":
        names = {field: call.fields.get(field, "") for field in ("dataId", "group", "tenant")}
        at = int(shown.at.timestamp() * 1000) if shown.at else 0
        rest = {"appName": "", "type": shown.format, "modifyTime": at, "createUser": shown.author, "desc": shown.description}
        return protocol.json({"id": str(shown.pk), **names, "content": shown.content, "md5": shown.md5, **rest})
    return protocol.text(shown.content, **headers)


def _publish(call: Call, who: Who) -> Answer:
    items.publish(who=who, fields=call.fields, ip=call.ip)
    return protocol.text("true")


def _remove(call: Call, who: Who) -> Answer:
    items.remove(who=who, fields=call.fields, ip=call.ip)
    return protocol.text("true")


def _history(call: Call, who: Who) -> Answer:
    return items.history(who=who, fields=call.fields)


async def _listen(call: Call, who: Who) -> Answer:
    """Answer the long poll."""
    seconds, keys = protocol.wait_seconds(call.headers), protocol.listened(call.fields)
    by_key: dict[Key, protocol.Listened] = {}
    for listened in keys:
        where = place(who, listened.tenant)
        by_key[Key(where.tenant_id, where.slug, listened.group, listened.data_id)] = listened
    has = {key: listened.md5 for key, listened in by_key.items()}
    gone = asyncio.ensure_future(call.receive()) if seconds else None  # after the body the server only tells that the client left
    try:
        changed = await listeners.changed(actor=str(who.actor), has=has, seconds=seconds, gone=gone)
    finally:
        if gone is not None:
            gone.cancel()
    (await _identified(call)).must(CONFIG_READ)  # what the call showed may have been revoked while it waited
    return protocol.changed(by_key[key] for key in by_key if key in changed)


def _namespaces(_call: Call, who: Who) -> Answer:
    rows = []
    for found in namespaces(who):
        written = name(who, Place(found.tenant_id, found.slug))
        shown = {"namespace": written, "namespaceShowName": found.name or found.slug, "namespaceDesc": found.description}
        rows.append({**shown, "quota": 200, "configCount": found.in_force, "type": 2 if written else 0})  # type: ignore[attr-defined]
    return protocol.json({"code": 200, "message": None, "data": rows})


def _make_namespace(call: Call, who: Who) -> Answer:
    slug = call.fields.get("customNamespaceId", "").strip() or str(uuid4())
    tenant = get_tenant(who.tenant_id) if who.tenant_id is not None else None
    words = {"name": call.fields.get("namespaceName", "").strip() or slug, "description": call.fields.get("namespaceDesc", "")}
    config_items.create_namespace(tenant=tenant, slug=slug, **words, by=who.by(call.ip))
    return protocol.text("true")


def _delete_namespace(call: Call, who: Who) -> Answer:
    namespace = writable(who, call.fields.get("namespaceId", "") or PUBLIC)
    config_items.delete_namespace(namespace=namespace, by=who.by(call.ip))
    return protocol.text("true")


def _sign_in(call: Call) -> Answer:
    username, password = call.fields.get("username", ""), call.fields.get("password", "")
    token = sign_in(username=username, password=password, ip=call.ip, now=timezone.now())
    return protocol.json({"accessToken": token.text, "tokenTtl": TOKEN_SECONDS, "globalAdmin": False, "username": username})


def _state(_call: Call) -> Answer:
    return protocol.json({"version": VERSION, "standalone_mode": "standalone", "function_mode": "config", "auth_enabled": "true"})


def _well(_call: Call) -> Answer:
    return protocol.text("OK")


@dataclass(frozen=True, slots=True)
class Route:
    """Who may do what at an address. `scopes` is None where no sign-in is needed, for the reason in `open_because`."""

    handler: Callable[..., Any]
    scopes: tuple[str, ...] | None
    open_because: str = ""


_LOGIN = Route(_sign_in, None, "the way in")
_WELL = Route(_well, None, "load balancers have no token")
#: Address below ROOT → method → what is done there.
ROUTES: dict[str, dict[str, Route]] = {
    "/cs/configs": {
        "GET": Route(_get, (CONFIG_READ,)),
        "POST": Route(_publish, (CONFIG_WRITE, CONFIG_PUBLISH)),
        "DELETE": Route(_remove, (CONFIG_WRITE, CONFIG_PUBLISH)),
    },
    "/cs/configs/listener": {"POST": Route(_listen, (CONFIG_READ,))},
    "/cs/history": {"GET": Route(_history, (CONFIG_READ,))},
    "/console/namespaces": {
        "GET": Route(_namespaces, (CONFIG_READ,)),
        "POST": Route(_make_namespace, (CONFIG_WRITE,)),
        "DELETE": Route(_delete_namespace, (CONFIG_WRITE, CONFIG_PUBLISH)),
    },
    "/auth/login": {"POST": _LOGIN},
    "/auth/users/login": {"POST": _LOGIN},
    "/console/server/state": {"GET": Route(_state, None, "clients ask for the version before they sign in; tells nothing of ours")},
    "/console/health/liveness": {"GET": _WELL},
    "/console/health/readiness": {"GET": _WELL},
}


# --- reading and writing -------------------------------------------------------------------------------------------


async def nacos(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer one HTTP request below /nacos/ (ASGI)."""
    try:
        answer = await _answer(scope, receive)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
        answer = _refusal(error)
    headers = [
        (b"content-type", answer.kind.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *((field.lower().encode(), value.encode("latin-1")) for field, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def _answer(scope: dict[str, Any], receive: Any) -> Answer:
    methods = ROUTES.get(scope["path"].rstrip("/").removeprefix(ROOT)) if scope["path"].startswith(f"{ROOT}/") else None
    if methods is None:
        raise NotFound(_("Only the configuration part of the Nacos Open API v1 is supported. See docs/nacos.md."))
    route = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
    if route is None:
        raise NotAllowed(headers={"Allow": ", ".join(methods)})
    headers = {field.decode("latin-1").lower(): value.decode("latin-1") for field, value in scope["headers"]}
    body = await _body(headers, receive)
    remote = (scope.get("client") or ("127.0.0.1", 0))[0]
    ip = client_ip_behind_proxies(remote=remote, forwarded_for=headers.get("x-forwarded-for", ""))
    fields = protocol.parameters(scope.get("query_string", b""), body)
    call = Call(fields, headers, ip, receive)
    if route.scopes is None:
        return await in_thread(route.handler, call)  # type: ignore[no-any-return]
    who = await _identified(call)
    who.must(*route.scopes)
    if asyncio.iscoroutinefunction(route.handler):
        return await route.handler(call, who)  # type: ignore[no-any-return]
    return await in_thread(route.handler, call, who)  # type: ignore[no-any-return]


_seen: dict[tuple[str, ...], tuple[float, Who]] = {}


async def _identified(call: Call) -> Who:
    """Return the caller, from memory if they were identified within the last second: clients come in swarms."""
    shown = (call.headers.get("authorization", ""), call.fields.get("accessToken", ""), call.headers.get("accesstoken", ""), call.ip)
    seen_at, who = _seen.get(shown, (0.0, None))
    if who is None or time.monotonic() - seen_at > SEEN_SECONDS:
        who = await in_thread(identify, headers=call.headers, fields=call.fields, ip=call.ip, now=timezone.now())
        if len(_seen) > MAX_SEEN:
            _seen.clear()
        _seen[shown] = (time.monotonic(), who)
    return who


async def _body(headers: Mapping[str, str], receive: Any) -> bytes:
    """Read the form, up to the size limit."""
    said = headers.get("content-length", "0")
    too_large = TooLarge(_("At most {n} MiB per request.").format(n=MAX_BODY_BYTES >> 20))
    if said.isascii() and said.isdecimal() and int(said[:12]) > MAX_BODY_BYTES:
        raise too_large
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Malformed(_("The request ended before its body was complete."))
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body"):
            return b"".join(chunks)


#: Our status → the one that Nacos clients know.
STATUSES = {401: 403, 422: 400}


def _refusal(error: Exception) -> Answer:
    problem: Problem | None = from_exception(error)
    if problem is None:
        log.error("Nacos request failed", exc_info=error)
        problem = Internal()
    status = STATUSES.get(problem.status, problem.status)
    document = problem.as_dict() | {"status": status}
    body = protocol.json(document).body
    headers = tuple((field, value) for field, value in problem.headers.items() if field != "WWW-Authenticate")
    return Answer(body, status=status, kind=CONTENT_TYPE, headers=headers)
