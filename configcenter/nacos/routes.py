"""What each address of Nacos' API does, and who may do it there."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

from channels.db import DatabaseSyncToAsync
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import get_tenant
from configcenter.models import PUBLIC
from configcenter.nacos import items, protocol
from configcenter.nacos.clients import Client
from configcenter.nacos.fingerprints import Key
from configcenter.nacos.identity import TOKEN_SECONDS, Who, digest, identify, sign_in
from configcenter.nacos.listening import Listeners
from configcenter.nacos.protocol import Answer
from configcenter.nacos.sharing import Shared
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from configcenter.services import items as config_items
from configcenter.services import listeners as asking
from configcenter.services.namespaces import Place, name, namespaces, place, writable
from posthaste.lib import redis
from posthaste.lib.problems import Invalid

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
texts: Shared[items.InForce] = Shared()


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its query and form as one, its headers in small letters, from where, and the rest of what the server tells."""

    fields: Mapping[str, str]
    headers: Mapping[str, str]
    ip: str
    receive: Callable[[], Awaitable[Any]]

    @property
    def shows_credentials(self) -> bool:
        """Whether it shows credentials that `identify` looks at."""
        by_header = self.headers.get("accesstoken") or self.headers.get("authorization", "").lower().startswith("bearer ")
        return bool(by_header or self.fields.get("accessToken") or self.fields.get("password"))

    @property
    def shown(self) -> bytes:
        """A digest of the credentials it shows and the address it comes from."""
        by_headers = (self.headers.get(name, "") for name in ("authorization", "accesstoken"))
        by_fields = (self.fields.get(name, "") for name in ("accessToken", "username", "password"))
        return digest(*by_headers, *by_fields, self.ip)


_seen: dict[bytes, tuple[float, Who]] = {}


async def identified(call: Call) -> Who:
    """Return the caller, from memory if they were identified within the last second: clients come in swarms."""
    shown = call.shown
    seen_at, who = _seen.get(shown, (0.0, None))
    if who is None or time.monotonic() - seen_at > SEEN_SECONDS:
        who = await in_thread(identify, headers=call.headers, fields=call.fields, ip=call.ip, now=timezone.now())
        if len(_seen) > MAX_SEEN:
            _seen.clear()
        _seen[shown] = (time.monotonic(), who)
    return who


# --- what each address does ----------------------------------------------------------------------------------------


async def _get(call: Call, who: Who) -> Answer:
    if call.fields.get("search") in ("accurate", "blur"):
        return await in_thread(items.listing, who=who, fields=call.fields)  # type: ignore[no-any-return]
    if _wants_beta(call):
        return _result("query beta ok", await in_thread(items.beta, who=who, fields=call.fields))
    names = protocol.group(call.fields), protocol.data_id(call.fields)
    where = place(who, protocol.tenant(call.fields)), *names
    shown = (await texts.read(where, lambda: in_thread(items.in_force, *where))).of(_client(call, who), *names)
    if shown.is_encrypted:
        who.must_reveal()
    headers = {"Content-MD5": shown.md5, "Config-Type": shown.format, "Cache-Control": "no-cache,no-store", "Pragma": "no-cache"}
    if shown.at is not None:
        headers["Last-Modified"] = format_datetime(shown.at, usegmt=True)
    if call.fields.get("show") == "all":
        asked = {field: call.fields.get(field, "") for field in ("dataId", "group", "tenant")}
        at = int(shown.at.timestamp() * 1000) if shown.at else 0
        rest = {"appName": "", "type": shown.format, "modifyTime": at, "createUser": shown.author, "desc": shown.description}
        return protocol.json({"id": str(shown.pk), **asked, "content": shown.content, "md5": shown.md5, **rest})
    return protocol.text(shown.content, **headers)


def _client(call: Call, who: Who) -> Client:
    return Client(address=call.ip, caller=str(who.actor), agent=protocol.agent(call.headers))


def _wants_beta(call: Call) -> bool:
    return call.fields.get("beta", "").strip().lower() == "true"


def _result(message: str, data: Any) -> Answer:
    """Answer in the form that Nacos has for everything that is not a text."""
    return protocol.json({"code": 200, "message": message, "data": data})


def _publish(call: Call, who: Who) -> Answer:
    addresses = protocol.beta_addresses(call.headers.get("betaips", "") or call.fields.get("betaIps", ""))
    if _wants_beta(call) and not addresses:
        raise Invalid.field("betaIps", _("Required."), "required")
    items.publish(who=who, fields=call.fields, ip=call.ip, addresses=addresses)
    return protocol.text("true")


def _remove(call: Call, who: Who) -> Answer:
    if _wants_beta(call):
        items.stop_beta(who=who, fields=call.fields, ip=call.ip)
        return _result("stop beta ok", True)
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
        changed = await listeners.changed(client=_client(call, who), has=has, seconds=seconds, gone=gone)
    finally:
        if gone is not None:
            gone.cancel()
    (await identified(call)).must(CONFIG_READ)  # what the call showed may have been revoked while it waited
    return protocol.changed(by_key[key] for key in by_key if key in changed)


async def _listening(call: Call, who: Who) -> Answer:
    """Answer who listens to an item, of all processes; of this one while Redis is away."""
    where = place(who, protocol.tenant(call.fields))
    key = Key(where.tenant_id, where.slug, protocol.group(call.fields), protocol.data_id(call.fields))
    listeners.start()
    try:
        rows = (await in_thread(asking.listening, **key._asdict())).rows
    except redis.Unavailable:
        rows = await listeners.listening(key)
    # Nacos' own spelling.
    return protocol.json({"collectStatus": 200, "lisentersGroupkeyStatus": {row.address: row.md5 for row in reversed(rows)}})


def _namespaces(_call: Call, who: Who) -> Answer:
    rows = []
    for found in namespaces(who):
        written = name(who, Place(found.tenant_id, found.slug))
        shown = {"namespace": written, "namespaceShowName": found.name or found.slug, "namespaceDesc": found.description}
        rows.append({**shown, "quota": 200, "configCount": found.in_force, "type": 2 if written else 0})  # type: ignore[attr-defined]
    return protocol.json({"code": 200, "message": None, "data": rows})


def _make_namespace(call: Call, who: Who) -> Answer:
    where = place(who, call.fields.get("customNamespaceId", "").strip() or str(uuid4()))
    tenant = get_tenant(where.tenant_id) if where.tenant_id is not None else None
    words = {"name": call.fields.get("namespaceName", "").strip() or where.slug, "description": call.fields.get("namespaceDesc", "")}
    config_items.create_namespace(tenant=tenant, slug=where.slug, **words, by=who.by(call.ip))
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
    "/cs/configs/listener": {"GET": Route(_listening, (CONFIG_READ,)), "POST": Route(_listen, (CONFIG_READ,))},
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
