"""Logging through structlog: JSON lines or console, secrets and recipients never in them.

A line that concerns a message has its trace id, which is the message's id in hex digits: `trace_id`, or `trace_ids` where there are
several (the first ten, and how many there are as `messages`). Code that handles messages says which:

    with logs.about([row.id for row in rows], recipients=[row.recipient for row in rows]):
        …                      every line in here, also a library's, has the trace ids and none of the recipients
"""

import logging
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

import structlog
from django.core.exceptions import PermissionDenied, RequestAborted, SuspiciousOperation
from django.http.request import UnreadablePostError

from posthaste.lib.blanking import HIDDEN, blanked

SECRET_NAMES = re.compile(r"(password|secret|token|authorization|api_?key|credential|cookie)", re.IGNORECASE)
MAX_TRACES = 10
PERSONAL_NAMES = frozenset({"recipient", "email", "phone", "body", "subject", "variables"})


_about: ContextVar[tuple[UUID, ...]] = ContextVar("about", default=())
_recipients: ContextVar[tuple[str, ...]] = ContextVar("recipients", default=())


@contextmanager
def about(message_ids: Iterable[UUID], *, recipients: Iterable[str] = ()) -> Iterator[None]:
    """Say which messages the lines logged in this block, by this thread, concern, and what must not stand in them."""
    ids, hidden = _about.set(tuple(message_ids)), _recipients.set((*_recipients.get(), *recipients))
    try:
        yield
    finally:
        _about.reset(ids)
        _recipients.reset(hidden)


def add_traces(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the trace ids of the messages that a line concerns, unless the line names its own."""
    ids = _about.get()
    if ids and "trace_id" not in event and "trace_ids" not in event:
        event.update(traces(ids))
    return event


def traces(message_ids: Iterable[UUID]) -> dict[str, Any]:
    """Return what a line says of the messages that it concerns; nothing where there are none."""
    ids = tuple(message_ids)
    if len(ids) < 2:
        return {"trace_id": ids[0].hex} if ids else {}
    return {"trace_ids": [found.hex for found in ids[:MAX_TRACES]], "messages": len(ids)}


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what must never be in a log: secrets and personal data by their name or their form."""
    for name, value in event.items():
        event[name] = _scrubbed(value, name)
    return event


def _scrubbed(value: Any, name: object = "") -> Any:
    if isinstance(name, str) and (name in PERSONAL_NAMES or SECRET_NAMES.search(name)):
        return HIDDEN
    if isinstance(value, str):
        return blanked(value, _recipients.get())
    if isinstance(value, dict):
        return {inner: _scrubbed(part, inner) for inner, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_scrubbed(part) for part in value)
    return value


class ShortForClients(logging.Filter):
    """Leaves the traceback out where a client caused the error: anyone could fill the log with them."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, PermissionDenied | SuspiciousOperation | UnreadablePostError | RequestAborted):
            record.msg, record.args = f"{record.getMessage()[:200]} ({type(error).__name__})", ()
            record.exc_info = record.exc_text = None
        return True


def configure(*, log_format: str, level: str) -> dict[str, Any]:
    """Configure structlog and give Django's LOGGING for the same form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_traces,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        scrub,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.PositionalArgumentsFormatter(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    scrub,  # once more: an exception's text and positional arguments have only now become text
                    renderer,
                ],
                "foreign_pre_chain": shared,
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines", "filters": ["short"]}},
        "filters": {"short": {"()": ShortForClients}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            # One line a task would be one line a message; what matters is in the trace and the row.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},  # two jobs a second
            "urllib3": {"level": "ERROR"},
        },
    }
