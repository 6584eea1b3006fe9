"""Makes everything apprise sends go through the guard of `posthaste.lib.guard`.

apprise's plugins call `requests.post(…)` on the module they imported, and offer no place to pass a session in. So the
name `requests` inside apprise's own modules is bound to a stand-in whose calls run on guarded connections: the address
is checked when connecting and pinned, redirects are not followed, proxies of the environment are ignored, and a time
limit holds. The `requests` that other code imports is untouched. Plugins that talk by other means than `requests` are
not offered at all.
"""

import functools
import sys
import threading
import types
import warnings
from typing import Any

import requests
from apprise import Apprise, AppriseAsset, NotifyFormat
from apprise.logger import logger
from apprise.manager_attachment import AttachmentManager
from apprise.manager_plugins import NotificationManager
from apprise.plugins.base import NotifyBase
from requests.adapters import HTTPAdapter

from messaging.channels.apprise.pools import pool_classes
from posthaste.lib import deadlines, http

#: Over HTTP, and yet not offered: nostr opens its own WebSockets to relays, vapid reads and writes key files.
NOT_OFFERED = frozenset({"nostr", "vapid"})
TEXT = NotifyFormat.TEXT


class Asset(AppriseAsset):
    """apprise without redirects, key files, templates of variables or anything kept on disk."""

    app_id = "Posthaste"
    app_desc = "Posthaste"
    app_url = "https://posthaste.invalid"
    http_redirects = False
    secure_logging = True
    async_mode = False
    pgp_autogen = False
    pem_autogen = False


class _Calls(threading.local):
    """What the requests of one notification, all made by one thread, came to."""

    lost: str = ""  # a request had left and no answer came
    status: int = 0
    retry_after: str = ""


calls = _Calls()


class _GuardedTransport(HTTPAdapter):
    def __init__(self, client: http.GuardedClient) -> None:
        self.client = client
        super().__init__(pool_connections=64, pool_maxsize=100)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self.client)

    def close(self) -> None:
        """Sessions come and go with each message; the connections stay."""

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        raise requests.exceptions.ProxyError("Proxies are not used.")


@functools.lru_cache(maxsize=1)
def _transport(client: http.GuardedClient) -> _GuardedTransport:
    return _GuardedTransport(client)


class GuardedSession(requests.Session):
    """A session on the guard's connections."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        transport = _transport(http.client())
        self.mount("http://", transport)
        self.mount("https://", transport)

    def send(self, request: Any, **kwargs: Any) -> requests.Response:
        wants_stream = kwargs.get("stream", False)
        kwargs.update(stream=True, allow_redirects=False)
        try:
            answer = super().send(request, **kwargs)
            if not wants_stream:
                # requests would read without end.
                content = answer.raw.read(http.MAX_BODY_BYTES + 1, decode_content=True)
                if len(content) > http.MAX_BODY_BYTES:
                    answer.raw.close()
                answer.raw.release_conn()
                answer._content, answer._content_consumed = content[: http.MAX_BODY_BYTES], True
        except (requests.RequestException, OSError, http.OutboundError) as error:
            if deadlines.something_was_sent():
                calls.lost = type(error).__name__
            raise
        calls.status, calls.retry_after = answer.status_code, answer.headers.get("Retry-After", "")
        return answer


class _GuardedRequests(types.ModuleType):
    """Replace the module `requests`: the same names, guarded calls."""

    Session = GuardedSession
    session = GuardedSession

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)

    @staticmethod
    def request(method: str, url: str, **kwargs: Any) -> requests.Response:
        with GuardedSession() as session:
            return session.request(method, url, **kwargs)

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("GET", url, **kwargs)

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("POST", url, **kwargs)

    def put(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("PUT", url, **kwargs)

    def patch(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("PATCH", url, **kwargs)

    def delete(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("DELETE", url, **kwargs)

    def head(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("HEAD", url, **kwargs)

    def options(self, url: str, **kwargs: Any) -> requests.Response:
        return self.request("OPTIONS", url, **kwargs)


_guarded = _GuardedRequests("requests")


def _bind() -> None:
    for name, module in list(sys.modules.items()):
        if name.split(".", 1)[0] == "apprise" and vars(module).get("requests") is requests:
            module.requests = _guarded  # type: ignore[attr-defined]


def _modules_of(plugin: type[NotifyBase]) -> set[str]:
    return {base.__module__ for base in plugin.__mro__ if base.__module__.startswith("apprise.plugins.")}


_plugins = NotificationManager()
with warnings.catch_warnings():
    # One plugin imports a module that Python 3.13 drops, and knows it.
    warnings.simplefilter("ignore", DeprecationWarning)
    _plugins.load_modules()
# Attachments could read local files or fetch addresses (a `template=` or `keyfile=` in a URL): there are none here.
_attachments = AttachmentManager()
_attachments.load_modules()
_attachments.unload_modules(disable_native=True)
_attachments._loaded.add(_attachments.module_path)
_bind()
# What a plugin logs may hold tokens; the adapter takes what it needs, scrubbed.
logger.propagate = False

_asset = Asset(storage_mode="memory", allow_templates=False)


def offered(plugin: type[NotifyBase]) -> bool:
    """Return whether a service of apprise may be used: enabled, and all its calls guarded."""
    modules = _modules_of(plugin)
    return (
        bool(plugin.enabled)
        and any(vars(sys.modules[name]).get("requests") is _guarded for name in modules)
        and not any(name.split(".")[2] in NOT_OFFERED for name in modules)
    )


def schemas() -> list[str]:
    """List the beginnings of URLs that are understood."""
    return sorted(name for name in _plugins.schemas() if offered(_plugins[name]))


def instantiate(url: str) -> NotifyBase | None:
    """Build the service that a URL describes; None if the URL is not understood or the service is not offered."""
    schema = url.partition("://")[0].lower()
    # An https:// URL may be the native form of a known service.
    if schema not in ("http", "https") and (schema not in _plugins or not offered(_plugins[schema])):
        return None
    plugin = Apprise.instantiate(url, asset=_asset)
    if plugin is None or not offered(type(plugin)):
        return None
    # apprise would sleep between calls (5.5 s by default); the provider's caps limit the rate here.
    plugin.request_rate_per_sec = 0
    return plugin
