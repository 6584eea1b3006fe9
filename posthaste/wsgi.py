"""Django, as a WSGI application: behind `posthaste.rsgi` in the product, and by itself wherever somebody needs one.

The two addresses that take messages in are answered before Django's middleware: sessions, languages, CSRF tokens and pages'
security headers mean nothing to a call with an API key, and would cost more than the call itself. What goes wrong there is
asked again the long way, where the language of the answer is negotiated.
"""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")

import structlog
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse

from posthaste.lib import garbage, heartbeat, problem_responses

log = structlog.get_logger(__name__)
django_application = get_wsgi_application()

from configcenter.services import watch  # noqa: E402
from messaging.api.views import intake  # noqa: E402

HOT: dict[str, Callable[[HttpRequest], HttpResponse]] = {
    "/api/messages": intake.post_message,
    "/api/messages/batch": intake.post_batch,
}


def security_headers() -> list[tuple[str, str]]:
    """Return what Django's SecurityMiddleware adds to answers that no page is made of."""
    headers = [("X-Content-Type-Options", "nosniff")]
    if settings.SECURE_HSTS_SECONDS:
        headers.append(("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"))
    return headers


def is_redirected(forwarded_proto: str) -> bool:
    """Return whether a request has to be sent to https first; `forwarded_proto`: what the proxy says it came over."""
    return settings.SECURE_SSL_REDIRECT and forwarded_proto.partition(",")[0].strip() != "https"


garbage.settle()
heartbeat.start("web")
watch.start("web")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    view = HOT.get(environ["PATH_INFO"].rstrip("/")) if environ["REQUEST_METHOD"] == "POST" else None
    if view is None or is_redirected(environ.get("HTTP_X_FORWARDED_PROTO", "")):
        return django_application(environ, start_response)
    request = WSGIRequest(environ)
    try:
        response = view(request)
    except Exception:
        log.exception("request failed", path=environ["PATH_INFO"])
        response = problem_responses.server_error(request)
    finally:
        if connection.connection is not None:
            connection.close()  # back to the pool
    if 400 <= response.status_code < 500 and response.status_code != 429:  # refused, so nothing was stored and it can be asked again
        if hasattr(request, "_body"):  # read before
            environ["wsgi.input"] = BytesIO(request._body)
        return django_application(environ, start_response)
    headers = [*response.items(), ("Content-Length", str(len(response.content))), *security_headers()]
    start_response(f"{response.status_code} {response.reason_phrase}", headers)
    return [response.content]
