"""What clients cause writes one short line into the log: anyone could fill it with tracebacks."""

import io
import logging
import sys
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http.request import UnreadablePostError
from django.test import RequestFactory

from posthaste import wsgi
from posthaste.lib.body_reading import SlowBody
from posthaste.lib.logs import ShortForClients
from posthaste.lib.problem_responses import reply_to
from tests.builders import make_key, make_provider, make_tenant

pytestmark = pytest.mark.django_db(transaction=True)  # the application closes its connection


def request_environ(**given: Any) -> dict[str, Any]:
    """Return what a WSGI server tells of a request."""
    return dict(RequestFactory().generic(given["REQUEST_METHOD"], given["PATH_INFO"], **given).environ)


class Gone(io.RawIOBase):
    """A body whose client leaves."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def read(self, _size: int = -1) -> bytes:
        raise self.error


@pytest.mark.parametrize(("error", "status"), [(OSError("the client is gone"), 400), (SlowBody("too slow"), 408)])
@pytest.mark.parametrize("path", ["/api/messages/", "/api/messages/batch", "/api/receipts/{}/", "/api/templates/", "/admin/login/"])
def test_an_aborted_upload_writes_no_traceback(path: str, error: OSError, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    tenant = make_tenant()
    path = path.format(make_provider(tenant).pk)
    seen: list[str] = []

    def start(told: str, _headers: Any, _error: Any = None) -> None:
        seen.append(told)

    environ = request_environ(
        REQUEST_METHOD="POST",
        PATH_INFO=path,
        CONTENT_TYPE="application/json" if path.startswith("/api") else "application/x-www-form-urlencoded",
        CONTENT_LENGTH="100000",
        HTTP_AUTHORIZATION=f"Bearer {make_key(tenant)[1]}",
    )
    environ["wsgi.input"] = Gone(error)
    b"".join(wsgi.application(environ, start))
    if path.startswith("/api"):
        assert seen[0].startswith(str(status)), seen
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out


def test_errors_that_clients_cause_are_logged_without_a_traceback() -> None:
    theirs = DisallowedHost("evil"), UnreadablePostError("gone"), PermissionDenied("not yours")
    for error, is_short in (*((each, True) for each in theirs), (ValueError("ours"), False)):
        try:
            raise error
        except Exception:  # noqa: BLE001 - logged as Django does it
            record = logging.LogRecord("django.request", logging.ERROR, "", 1, "Bad: %s", ("x" * 5000,), sys.exc_info())
        assert ShortForClients().filter(record)
        assert (record.exc_info is None) is is_short
        assert not is_short or len(record.getMessage()) < 300


def test_a_slow_body_is_told_so() -> None:
    reply = reply_to(SlowBody("slow"), language="en")
    assert (reply.status, b"body_timeout" in reply.body) == (408, True)
