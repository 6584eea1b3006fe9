"""What clients ask for in single calls: get, publish, remove, listen, and the calls by which they look whether the server is there."""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from django.utils.translation import gettext as _

from configcenter.nacos import items, protocol
from configcenter.nacos.application import problem_of, refusals
from configcenter.nacos.fingerprints import Key
from configcenter.nacos.grpc import wire
from configcenter.nacos.grpc.connections import Connection, Connections
from configcenter.nacos.identity import Who
from configcenter.nacos.protocol import Listened
from configcenter.nacos.routes import Call, identified, in_thread, listeners, texts
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from configcenter.services.namespaces import place
from posthaste.lib.problems import Invalid, NotFound, Problem

FAILED = 500
NOT_FOUND, NOT_CONNECTED = 300, 301  # Nacos' own error codes
#: Our status → the error code that Nacos clients know.
CODES = {401: 403, 422: 400}
SECRET_HEADERS = ("accessToken", "username", "password")
FIELDS = ("dataId", "group", "tenant", "content", "casMd5", "tag")

connections = Connections(listeners)
Answer = dict[str, Any]


# --- one function a request type ---------------------------------------------------------------------------------------


async def _query(call: Call, who: Who, connection: Connection, body: Mapping[str, Any]) -> Answer:
    names = protocol.group(call.fields), protocol.data_id(call.fields)
    where = place(who, protocol.tenant(call.fields)), *names
    client = connection.client(call, str(who.actor))
    in_force = await texts.read(where, lambda: in_thread(items.in_force, *where))
    shown = in_force.of(client, *names)
    if shown.is_encrypted:
        who.must_reveal()
    connection.fetched(Key(where[0].tenant_id, where[0].slug, *names), shown.md5)
    at = int(shown.at.timestamp() * 1000) if shown.at else 0
    text = {"content": shown.content, "md5": shown.md5, "contentType": shown.format, "lastModified": at}
    return {**text, "encryptedDataKey": "", "isBeta": shown is in_force.gray, "tag": False}


async def _publish(call: Call, who: Who, connection: Connection, body: Mapping[str, Any]) -> Answer:
    addresses = protocol.beta_addresses(call.fields.get("betaIps", ""))
    await in_thread(items.publish, who=who, fields=call.fields, ip=call.ip, addresses=addresses)
    return {}


async def _remove(call: Call, who: Who, connection: Connection, body: Mapping[str, Any]) -> Answer:
    await in_thread(items.remove, who=who, fields=call.fields, ip=call.ip)
    return {}


async def _listen(call: Call, who: Who, connection: Connection, body: Mapping[str, Any]) -> Answer:
    wanted: dict[Key, Listened] = {}
    for listened in _contexts(body):
        where = place(who, listened.tenant)
        wanted[Key(where.tenant_id, where.slug, listened.group, listened.data_id)] = listened
    if body.get("listen") is False:
        connection.forget(listeners, set(wanted))
        return {"changedConfigs": []}
    changed = await connection.listen(listeners, call, connection.client(call, str(who.actor)), wanted)
    told = [wanted[key] for key in wanted if key in changed]
    return {"changedConfigs": [{"dataId": each.data_id, "group": each.group, "tenant": each.tenant} for each in told]}


def _contexts(body: Mapping[str, Any]) -> list[Listened]:
    contexts = body.get("configListenContexts") or []
    wrong = Invalid.field("configListenContexts", _("Write dataId, group, md5 and tenant of each."))
    if not isinstance(contexts, list) or len(contexts) > protocol.MAX_KEYS:
        raise wrong
    found = []
    for context in contexts:
        if not isinstance(context, dict):
            raise wrong
        words = {
            field: "" if context.get(field) is None else _text(field, context[field]) for field in ("dataId", "group", "tenant", "md5")
        }
        found.append(protocol.listened_to(data_id=words["dataId"], group=words["group"], tenant=words["tenant"], md5=words["md5"]))
    return found


Handler = Callable[[Call, Who, Connection, Mapping[str, Any]], Awaitable[Answer]]
#: Request type → the type of its answer, what does it, who may, and as which call of the HTTP API its fields are checked.
REQUESTS: dict[str, tuple[str, Handler, tuple[str, ...], str]] = {
    "ConfigQueryRequest": ("ConfigQueryResponse", _query, (CONFIG_READ,), "GET"),
    "ConfigPublishRequest": ("ConfigPublishResponse", _publish, (CONFIG_WRITE, CONFIG_PUBLISH), "POST"),
    "ConfigRemoveRequest": ("ConfigRemoveResponse", _remove, (CONFIG_WRITE, CONFIG_PUBLISH), "DELETE"),
    "ConfigBatchListenRequest": ("ConfigChangeBatchListenResponse", _listen, (CONFIG_READ,), ""),
}


# --- reading and writing -------------------------------------------------------------------------------------------------


async def answer(payload: Any, context: Any) -> Any:
    """Answer one call."""
    kind, peer, request_id = payload.metadata.type[:100], context.peer(), ""
    if kind == "ServerCheckRequest":  # tells nothing of ours; clients ask before they have a stream
        return wire.write("ServerCheckResponse", _head(request_id) | {"connectionId": peer, "supportAbilityNegotiation": False})
    connection = connections.find(peer)
    if connection is None:
        # After a restart of ours grpcio connects a client anew, but without its stream. To a 3xx of a health check the Python client goes
        # on waiting for changes that it can't be told; to this one it opens a stream.
        code = FAILED if kind == "HealthCheckRequest" else NOT_CONNECTED
        return _error("ErrorResponse", request_id, code, _("Connection is unregistered."))
    if kind == "HealthCheckRequest":
        return wire.write("HealthCheckResponse", _head(request_id))
    call = None
    response = REQUESTS[kind][0] if kind in REQUESTS else "ErrorResponse"
    try:
        if kind not in REQUESTS:
            raise NotFound(_("Only the configuration part of Nacos is supported, not {type}. See docs/nacos.md.").format(type=kind))
        _response, handle, scopes, method = REQUESTS[kind]
        body = wire.body_of(payload)
        request_id = str(body.get("requestId") or "")[:100]
        call = _call(payload, body, peer)
        who = await identified(call)
        who.must(*scopes)
        connection.is_known = True
        protocol.check_supported(method, "/cs/configs", call.fields)
        return wire.write(response, _head(request_id) | await handle(call, who, connection, body))
    except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
        problem = problem_of(error)
        await _slow_down(kind, call, peer, problem)
        return _error(response, request_id, _code_of(kind, problem), _words_of(problem))


def _call(payload: Any, body: Mapping[str, Any], peer: str) -> Call:
    headers = {str(name).lower(): str(value) for name, value in payload.metadata.headers.items()}
    more = body.get("additionMap") or {}
    if not isinstance(more, dict):
        raise Invalid.field("additionMap", _("Must be an object."))
    sent = more | {name: body[name] for name in FIELDS if body.get(name) is not None}
    fields = {name: _text(name, value) for name, value in sent.items() if value is not None}
    fields |= {name: headers[name.lower()] for name in SECRET_HEADERS if headers.get(name.lower())}
    return Call(fields, headers, _address(peer), _nothing)


def _text(name: str, value: Any) -> str:
    """Return the value of a field. One of another kind is not passed over: without its `betaIps`, a beta would be for all."""
    if not isinstance(value, str):
        raise Invalid.field(name, _("Must be a text."))
    protocol.check_storable(name, value)
    return value


async def _nothing() -> None:
    """Stand in for the rest of an HTTP request."""


def _address(peer: str) -> str:
    """Return the address in `ipv4:10.0.0.1:4711` or `ipv6:%5B::1%5D:4711`."""
    text = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
    try:
        address = ip_address(text)
    except ValueError:
        return "127.0.0.1"
    return str(getattr(address, "ipv4_mapped", None) or address)


async def _slow_down(kind: str, call: Call | None, peer: str, problem: Problem) -> None:
    if problem.status >= 500 or problem.status == 409 or (problem.status == 404 and kind == "ConfigQueryRequest"):
        return
    address = _address(peer)
    shown = call.shown.hex() if call is not None else address
    await refusals.hold_back(address, shown, is_listener=False, status=problem.status, code=problem.code)


def _code_of(kind: str, problem: Problem) -> int:
    if problem.status == 404:
        return NOT_FOUND if kind == "ConfigQueryRequest" else 400
    return CODES.get(problem.status, problem.status)


def _words_of(problem: Problem) -> str:
    fields = "; ".join(f"{entry.get('field')}: {entry.get('message')}" for entry in problem.errors[:10])
    return f"{problem.detail or problem.title}{f' {fields}' if fields else ''}"


def _head(request_id: str) -> Answer:
    return {"resultCode": 200, "errorCode": 0, "message": "", "requestId": request_id}


def _error(kind: str, request_id: str, code: int, words: str) -> Any:
    # lastModified has to be a number also where there is no text.
    more = {"lastModified": 0} if kind == "ConfigQueryResponse" else {}
    return wire.write(kind, {"resultCode": FAILED, "errorCode": code, "message": words, "requestId": request_id, **more})
