"""Notices that go straight to where they are read, past queue, workers and, if need be, the database.

The providers that carry the platform's messages are kept loaded in the evaluator's process while the database answers, so they also serve
when it does not. What no provider serves goes by `ALARM_SMTP_URL` (e-mail), or by a request of our own (webhooks, robots).
"""

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote, urlsplit
from uuid import UUID

import orjson
import structlog
from standardwebhooks import Webhook

from messaging.channels.base import Adapter, ProviderError, SendRequest
from messaging.channels.email import EmailAdapter, EmailConfig
from messaging.channels.recipients import normalise_recipient
from messaging.providers.cache import SANDBOX, LoadedProvider, provider_cache
from monitor.alarms.rules import ROBOTS, Receiver, ReceiverKind
from posthaste import env
from posthaste.lib import http
from posthaste.lib.process_state import on_reset

log = structlog.get_logger(__name__)
TIMEOUT_SECONDS = 10.0


class NotSent(Exception):
    """The notice was not taken; the message says why."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: the same id however often it is tried, so that a receiver recognises it."""

    id: UUID
    subject: str
    body: str
    data: dict[str, Any] = field(default_factory=dict)


class Adapters:
    """The loaded providers of the channels that receivers need."""

    def __init__(self) -> None:
        self._by_channel: dict[str, list[Adapter]] = {}
        self._smtp: tuple[str, EmailAdapter] | None = None

    def refresh(self, tenant_id: int, channels: set[str]) -> None:
        """Load the providers of a tenant; those that were loaded before stay where there are none.

        Raises:
            django.db.DatabaseError: the database is away.
        """
        for channel in channels:
            found = provider_cache.in_force(tenant_id, channel)
            self._by_channel[channel] = [provider.adapter for provider in found if reaches(provider, channel)]

    def of(self, channel: str) -> list[Adapter]:
        """Return what may send on a channel, the providers first."""
        found = list(self._by_channel.get(channel, []))
        if channel == ReceiverKind.EMAIL and (smtp := self._own_smtp()) is not None:
            found.append(smtp)
        return found

    def forget(self) -> None:
        """Load everything anew."""
        self._by_channel.clear()
        if self._smtp is not None:
            self._smtp[1].close()
            self._smtp = None

    def _own_smtp(self) -> EmailAdapter | None:
        url = env.load().alarm_smtp_url.get_secret_value()
        if not url:
            return None
        if self._smtp is None or self._smtp[0] != url:
            self._smtp = url, EmailAdapter(smtp_config(url))
        return self._smtp[1]


def reaches(provider: LoadedProvider, channel: str) -> bool:
    """Return whether a provider sends to the address that it is given.

    A sandbox takes everything and sends nothing. A provider of webhooks with a URL of its own calls that one.
    """
    has_own_url = channel == ReceiverKind.WEBHOOK.channel and bool(getattr(provider.adapter.config, "url", ""))
    return provider.kind != SANDBOX and not has_own_url


def smtp_config(url: str) -> EmailConfig:
    """Read `smtp://user:password@host:587/?from=alarms@example.com&security=starttls`; `smtps://` is TLS from the start.

    Raises:
        ValueError: it is not of this form.
    """
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "from" not in query:
        raise ValueError("must be smtp://[user:password@]host[:port]/?from=address, or smtps://…")
    return EmailConfig.model_validate(
        {
            "host": parts.hostname,
            "port": parts.port,
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
            "security": query.get("security", "tls" if parts.scheme == "smtps" else "starttls"),
            "from_email": query["from"],
            "timeout_seconds": TIMEOUT_SECONDS,
        }
    )


adapters = Adapters()
on_reset(adapters.forget)


def send(receiver: Receiver, letter: Letter) -> None:
    """Send a notice to a receiver now.

    Raises:
        NotSent: it was not taken.
    """
    if receiver.kind in ROBOTS:
        return _to_robot(receiver, letter)
    errors = []
    channel = receiver.kind.channel
    request = SendRequest(
        id=letter.id,
        channel=channel,
        recipient=normalise_recipient(channel, receiver.address),
        subject=letter.subject,
        body=letter.subject if channel == ReceiverKind.SMS else letter.body,
        metadata=letter.data,
        reference="alarm",
    )
    for adapter in adapters.of(channel):
        try:
            adapter.send(request)
        except ProviderError as error:
            log.warning("an alarm's notice was not taken", receiver=receiver.name, code=error.code)
            errors.append(f"{error.code}: {error.detail}"[:200])
        else:
            return None
    if receiver.kind == ReceiverKind.WEBHOOK:
        return _to_webhook(receiver.address, letter)
    raise NotSent("; ".join(errors) or "No provider and no ALARM_SMTP_URL to send it with.")


def _to_webhook(url: str, letter: Letter) -> None:
    """Call a webhook as https://www.standardwebhooks.com describes, signed if `ALARM_WEBHOOK_SECRET` is set."""
    body = orjson.dumps({"id": letter.id.hex, "subject": letter.subject, "text": letter.body, "metadata": letter.data})
    now, webhook_id = datetime.now(UTC), f"msg_{letter.id.hex}"
    headers = {"Content-Type": "application/json", "webhook-id": webhook_id, "webhook-timestamp": str(int(now.timestamp()))}
    if secret := env.load().alarm_webhook_secret.get_secret_value():
        headers["webhook-signature"] = Webhook(secret).sign(webhook_id, now, body.decode())
    _post(url, body, headers)


def _to_robot(receiver: Receiver, letter: Letter) -> None:
    """Post a text to a group's robot, and read its answer: each says with status 200 that it refuses.

    A DingTalk or Feishu robot that wants signatures has its secret behind the address: `…?access_token=…#SEC…`.
    """
    url, _hash, secret = receiver.address.partition("#")
    at_most = 600 if receiver.kind == ReceiverKind.WECOM_ROBOT else 3_000  # WeCom takes 2,048 bytes
    text = f"{letter.subject}\n\n{letter.body}"[:at_most] + f"\n\nID {letter.id.hex[-12:]}"  # two of one id are one notice
    match receiver.kind:
        case ReceiverKind.FEISHU_ROBOT:
            payload: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
            if secret:
                payload |= _feishu_signature(secret, int(time.time()))
        case ReceiverKind.DINGTALK_ROBOT:
            payload = {"msgtype": "text", "text": {"content": text}}
            if secret:
                url = f"{url}&{_dingtalk_signature(secret, int(time.time() * 1000))}"
        case _:
            payload = {"msgtype": "text", "text": {"content": text}}
    answer = _post(url, orjson.dumps(payload), {"Content-Type": "application/json"})
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return
    code = said.get("errcode", said.get("code", said.get("StatusCode", 0))) if isinstance(said, dict) else 0
    if code:
        raise NotSent(f"The robot refused it: {str(said)[:200]}")


def _dingtalk_signature(secret: str, milliseconds: int) -> str:
    """Sign as DingTalk's documentation of custom robots says: HMAC-SHA256 of the time and the secret, with the secret."""
    digest = hmac.new(secret.encode(), f"{milliseconds}\n{secret}".encode(), hashlib.sha256).digest()
    return f"timestamp={milliseconds}&sign={quote_plus(base64.b64encode(digest))}"


def _feishu_signature(secret: str, seconds: int) -> dict[str, str]:
    """Sign as Feishu's documentation of custom robots says: HMAC-SHA256 of nothing, keyed with the time and the secret."""
    digest = hmac.new(f"{seconds}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {"timestamp": str(seconds), "sign": base64.b64encode(digest).decode()}


def _post(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    try:
        answer = http.client().request("POST", url, headers=headers, body=body, total_timeout=TIMEOUT_SECONDS, max_body=65_536)
    except http.OutboundError as error:
        raise NotSent(f"{error.code}: {error.detail}"[:300]) from None
    if not 200 <= answer.status < 300:
        raise NotSent(f"http_{answer.status}: {answer.text[:200]}")
    return answer.body
