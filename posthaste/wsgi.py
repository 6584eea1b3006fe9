"""Django, as a WSGI application: behind `posthaste.rsgi` in the product, and alone under `manage.py runserver` and in tests.

The two addresses that take messages in are answered before Django's middleware: sessions, CSRF tokens and the URL resolver mean nothing
to a call with an API key, and would cost more than the call itself. The language of their answers is negotiated as Django does it, and
their refusals carry the security headers that Django would add.

Importing this starts no thread and opens no connection, as the server forks after it (see `deploy.preloaded`).
"""

import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

from csp.utils import build_policy
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest
from django.urls import get_resolver

from posthaste.lib import heartbeat, hosts
from posthaste.lib.problem_responses import Reply

django_application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018 - imports all views now: the first request need not wait for that

from configcenter.services import watch  # noqa: E402
from messaging.api.views import intake  # noqa: E402
from monitor.alarms import evaluator  # noqa: E402

HOT: dict[str, Callable[[HttpRequest], Reply]] = {
    "/api/messages": intake.answer_message,
    "/api/messages/batch": intake.answer_batch,
}


def security_headers(*, refused: bool = False) -> list[tuple[str, str]]:
    """Return what Django's middleware adds to an answer of the API: to a refusal all of it, to an acceptance what matters to a program."""
    found = [("x-content-type-options", "nosniff")]
    if settings.SECURE_HSTS_SECONDS:
        found.append(("strict-transport-security", f"max-age={settings.SECURE_HSTS_SECONDS}"))
    if refused:
        found += [
            ("content-security-policy", build_policy()),
            ("cross-origin-opener-policy", settings.SECURE_CROSS_ORIGIN_OPENER_POLICY),
            ("referrer-policy", settings.SECURE_REFERRER_POLICY),
            ("x-frame-options", settings.X_FRAME_OPTIONS),
        ]
    return found


def is_redirected(forwarded_proto: str) -> bool:
    """Return whether a request has to be sent to https first; `forwarded_proto`: what the proxy says it came over."""
    return settings.SECURE_SSL_REDIRECT and forwarded_proto.partition(",")[0].strip() != "https"


def close_connection() -> None:
    """Give the database connection of this thread back to the pool."""
    if connection.connection is not None:
        connection.close()


def start() -> None:
    """Begin what each process has of its own. Calling it again does nothing."""
    heartbeat.start("web")
    watch.start("web")
    evaluator.start("web")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    if "*=" in environ.get("CONTENT_TYPE", ""):
        environ["CONTENT_TYPE"] = ""  # a parameter as in RFC 2231, which HTTP does not have here: Django fails on some
    view = HOT.get(environ["PATH_INFO"].rstrip("/")) if environ["REQUEST_METHOD"] == "POST" else None
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    if view is None or is_redirected(environ.get("HTTP_X_FORWARDED_PROTO", "")) or not hosts.is_allowed(host):
        return django_application(environ, start_response)
    try:
        reply = view(WSGIRequest(environ))
    finally:
        close_connection()
    headers = [*reply.headers, ("content-length", str(len(reply.body))), *security_headers(refused=reply.status >= 400)]
    start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", headers)
    return [reply.body]


def alone(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request where no server says when the process begins: under `manage.py runserver`."""
    start()
    return application(environ, start_response)
