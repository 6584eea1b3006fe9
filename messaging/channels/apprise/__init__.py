"""The services apprise knows (WeCom bot, DingTalk, Feishu, Slack, Telegram, Bark, ntfy …), named by one URL.

The URL is the whole configuration and holds the credentials, so all of it is secret. `{recipient}` in it becomes the
recipient, percent-encoded; without it every message goes where the URL points. A service made of several targets in one
URL counts as one: if one target fails, a retry goes to all of them.

apprise is imported with the first provider that uses it: its 270 modules and those of `requests` take 20 MB, and 0.4 s of a start.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, unquote

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _
from pydantic import Field, SecretStr, ValidationInfo, model_validator

from messaging.channels.base import (
    Accepted,
    Adapter,
    CannotCompose,
    CredentialConfig,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    SendRequest,
)
from messaging.channels.http.answers import retry_after
from posthaste.lib import deadlines, http

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

PLACEHOLDER = "{recipient}"
#: Services check the form of their targets when built, so a URL with a placeholder is tried with one of each form.
SAMPLES = ("+15005550006", "recipient1", "0123456789abcdef0123456789abcdef", "123456789", "user@example.com", "#recipient", "A" * 64)


class AppriseConfig(CredentialConfig):
    """One service."""

    url: SecretStr = Field(
        description=_("Service URL as in apprise's documentation, such as wecombot://KEY. It can contain {recipient}."), max_length=4096
    )
    timeout_seconds: float = Field(15.0, ge=1, le=25, description=_("Maximum time for one message."))

    @model_validator(mode="after")
    def service_is_known(self, info: ValidationInfo) -> Self:
        from messaging.channels.apprise import transport

        url = self.url.get_secret_value().strip()
        scheme = url.partition("://")[0].lower()
        if "://" not in url or not url.isprintable():
            raise ValueError("url: " + gettext("Give a service URL such as wecombot://KEY or slack://TokenA/TokenB/TokenC."))
        if "{{" in url or re.search(r"\{\s*\w*\s*\}", url.replace(PLACEHOLDER, "")):
            raise ValueError("url: " + gettext("The only variable is {recipient}, with single braces and no spaces."))
        if PLACEHOLDER in scheme:
            raise ValueError("url: " + gettext("The service itself can't depend on the recipient."))
        if (info.context or {}).get("channel") == "sms" and PLACEHOLDER not in url:
            raise ValueError("url: " + gettext("For SMS, the URL must contain {recipient}."))
        if scheme not in ("http", "https") and scheme not in transport.schemas():
            raise ValueError("url: " + gettext("There is no service {scheme}:// that can be used here.").format(scheme=scheme))
        with _captured() as lines:
            if not any(transport.instantiate(_filled(url, sample)) for sample in (SAMPLES if PLACEHOLDER in url else ("",))):
                refusal = gettext("The service does not take this URL.")  # xgettext does not read f-strings
                raise ValueError(f"url: {refusal} {_scrub(' '.join(lines), url)}".strip())
        return self


@dataclass(frozen=True, slots=True)
class Note:
    """A message and the service that is to take it."""

    service: "NotifyBase"
    request: SendRequest


class AppriseAdapter(Adapter):
    kind = "apprise"
    title = "Apprise"
    channels = frozenset({"push", "wecom", "chat", "sms"})
    Config = AppriseConfig

    chunk_size = 10
    config: AppriseConfig

    def compose(self, request: SendRequest) -> Note:
        from messaging.channels.apprise import transport

        url = self.config.url.get_secret_value().strip()
        with _captured() as lines:
            # A new object a message: building costs a fraction of a millisecond, and some keep state that is not safe
            # among threads.
            try:
                service = transport.instantiate(_filled(url, request.recipient))
            except Exception as error:  # noqa: BLE001  a hundred plugins
                service = None
                lines.append(f"{type(error).__name__}: {error}")
            said = _scrub(" ".join(lines), url)
        if service is None and PLACEHOLDER not in url:
            raise Misconfigured(said or "The service does not take this URL.", field="url")
        if service is None:
            raise CannotCompose("bad_recipient", said or "The service does not take this recipient.", field="recipient")
        return Note(service, request)

    def hand_over(self, composed: Note) -> Accepted:
        from messaging.channels.apprise import transport

        url = self.config.url.get_secret_value().strip()
        service, request = composed.service, composed.request
        with _captured() as lines:
            transport.calls.lost, transport.calls.status, transport.calls.retry_after = "", 0, ""
            try:
                with deadlines.time_limit(self.config.timeout_seconds):
                    # Not Apprise.notify, which would start threads and retry on its own account.
                    done = service.notify(body=request.body, title=request.subject, body_format=transport.TEXT)
            except http.OutboundError as error:
                if error.sent or transport.calls.lost:
                    raise OutcomeUnknown(error.code, error.detail) from None
                raise ProviderError(error.code, error.detail, unreachable=True) from None
            except Exception as error:  # noqa: BLE001  a hundred plugins: a fault in one is a failed send, not a dead worker
                raise _failure_in_plugin(error, _scrub(f"{type(error).__name__}: {error}", url)) from None
            if not done:
                raise _failure(_scrub(" ".join(lines), url))
        return Accepted()


def _failure_in_plugin(error: Exception, detail: str) -> ProviderError:
    """Return the error of a call in which the plugin itself failed."""
    from messaging.channels.apprise import transport

    calls = transport.calls
    if calls.lost:
        return OutcomeUnknown("connection_lost", detail)
    if 0 < calls.status < 400:  # it failed while it read the answer: the service may have taken the message
        fault: ProviderError = OutcomeUnknown("apprise_failed", detail)
    elif calls.status or isinstance(error, OSError):
        return _failure(detail)
    else:  # before anything left, be it for this message or for these credentials: another provider may do better
        fault = ProviderError("apprise_failed", detail, unreachable=True)
    fault.ours = True
    return fault


def _failure(detail: str) -> ProviderError:
    """Return the error of a failed call. The plugin returns only False; the last response has the details."""
    from messaging.channels.apprise import transport

    calls = transport.calls
    if calls.lost:
        return OutcomeUnknown("connection_lost", detail)
    if calls.status == 429:
        return ProviderError("rate_limited", detail, retry_after=retry_after({"Retry-After": calls.retry_after}, datetime.now(UTC)))
    if calls.status in (401, 403):
        return ProviderError("provider_auth", detail, unreachable=True)
    return ProviderError(
        "apprise_failed", detail or "The service did not take the message.", unreachable=calls.status == 0 or calls.status >= 500
    )


def _filled(url: str, recipient: str) -> str:
    return url.replace(PLACEHOLDER, quote(recipient, safe=""))


class _ThreadLines(logging.Handler):
    """Keeps what apprise logs, for the thread that asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        lines = getattr(self.kept, "lines", None)
        if lines is not None and len(lines) < 10:
            lines.append(record.getMessage())


_lines = _ThreadLines()
logging.getLogger("apprise").addHandler(_lines)


@contextmanager
def _captured() -> Iterator[list[str]]:
    lines: list[str] = []
    _lines.kept.lines = lines
    try:
        yield lines
    finally:
        _lines.kept.lines = None


def _scrub(text: str, url: str) -> str:
    """Take every part of the URL that may be a secret out of a text for logs and pages."""
    rest = url.partition("://")[2]
    parts = {part for raw in re.split(r"[/:@?&=#]", rest) for part in (raw, unquote(raw)) if len(part) >= 4 and part != PLACEHOLDER}
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "•••")
    return text[:500]
