"""The generic gateway: any provider that takes messages over HTTP, described by configuration alone.

URL and body are Liquid templates. In a URL or a form, variables are percent-encoded. In JSON each variable goes through the `json`
filter, which writes the quotes and escapes the rest: `{"to": {{ recipient | json }}, "text": {{ body | json }}}`. A template that
forgets it is refused when saved.
Each request carries `Idempotency-Key` and `X-Posthaste-Message-Id`, both the message id as 32 hex digits, and the W3C `traceparent` of
the attempt. A bulk request belongs to many traces and carries none.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
from django.utils.translation import gettext_lazy
from standardwebhooks import Webhook

from messaging.channels.base import (
    Accepted,
    Adapter,
    CannotCompose,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    Receipt,
    ReceiptError,
    SendRequest,
    TlsServer,
)
from messaging.channels.http.answers import as_text, excerpt, find, mapped_error, parse_json, status_error
from messaging.channels.http.config import BulkConfig, HttpConfig, parse_codes
from messaging.channels.http.receipts import read_receipts
from messaging.channels.http.templates import DEFAULT_WEBHOOK_BODY, fill_url, is_template
from posthaste.lib import http
from posthaste.lib.liquid import TemplateProblem, compile_template, render
from tracing import w3c
from tracing.services import record

_BULK_KEYS = uuid.UUID("5b1f6c1e-52a7-4d0b-9a6e-0a3b8f6f7c11")


@dataclass(frozen=True, slots=True)
class Written:
    """A request that is ready to be sent; `key` is its Idempotency-Key."""

    url: str
    body: bytes
    key: str
    traceparent: str = ""


class HttpAdapter(Adapter):
    kind = "http"
    title = gettext_lazy("HTTP gateway")
    channels = frozenset({"sms", "push", "wecom", "webhook", "chat"})
    Config = HttpConfig

    config: HttpConfig

    def __init__(self, config: HttpConfig) -> None:
        super().__init__(config)
        self.idempotent = config.idempotent
        if config.bulk:
            self.bulk_size = self.chunk_size = config.bulk.size
            self._bulk_body = compile_template(config.bulk.body, roomy=True)
        self._body = compile_template(config.body, roomy=not config.is_form, percent=config.is_form) if config.body else None
        self._webhook_body = self._body or compile_template(DEFAULT_WEBHOOK_BODY, roomy=True)
        self._url_varies = is_template(config.url)
        self._lookup_url = compile_template(config.lookup_url) if config.lookup_url else None
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self._has_own_traceparent = any(name.lower() == w3c.HEADER for name in self._headers)
        self._success = parse_codes(config.success_codes)
        self._signer = Webhook(config.signing_secret.get_secret_value()) if config.signing_secret else None

    def tls_server(self) -> TlsServer | None:
        parts = urlsplit(self.config.url)  # scheme and host never have variables
        return TlsServer(parts.hostname, parts.port or 443) if parts.scheme == "https" and parts.hostname else None

    def compose(self, request: SendRequest) -> Written:
        url = self._url_for(request)
        body = b"" if self.config.method == "GET" else self._body_of(request)
        parent = w3c.traceparent(request.id, w3c.attempt_name(request.attempt), is_sampled=record.is_sampled(request.id))
        return Written(url, body, request.id.hex, parent)

    def hand_over(self, composed: Written) -> Accepted:
        try:
            answer = self._call(composed.url, composed.body, composed.key, traceparent=composed.traceparent)
            self._check(answer)
        except ProviderError as error:
            if not self.config.url:
                # The address is the recipient's: its faults are no reason to leave this provider.
                error.unreachable = False
                error.permanent = error.permanent or error.code == "blocked_address"
            raise
        if not self.config.message_id_path:
            return Accepted()
        # An answer that says "taken" but not the id is taken all the same: sending again would be a second message.
        return Accepted(as_text(find(parse_json(answer.body), self.config.message_id_path))[:200])

    def _url_for(self, request: SendRequest) -> str:
        if self._url_varies:
            try:
                return fill_url(self.config.url, _variables(request))
            except (TemplateProblem, ValueError) as problem:
                raise CannotCompose("url_template", str(problem)) from None
        url = self.config.url or (request.recipient if request.channel == "webhook" else "")
        if not url:
            raise Misconfigured("The provider has no url.", field="url")
        return url

    def host_of(self, request: SendRequest) -> str:
        if self.config.url or self.config.bulk or request.channel != "webhook":
            return ""
        return http.host_name(request.recipient)

    def _body_of(self, request: SendRequest) -> bytes:
        if request.channel == "webhook":
            return _fill(self._webhook_body, _variables(request))
        if self._body is not None:
            return _fill(self._body, _variables(request))
        # The default needs no template engine.
        subject = {"subject": request.subject} if request.subject else {}
        try:
            return orjson.dumps({"id": request.id.hex, "to": request.recipient, **subject, "text": request.body})
        except TypeError as error:
            raise CannotCompose("body_template", str(error), field="metadata") from None

    def send_many(self, requests: Sequence[SendRequest]) -> list[Accepted | ProviderError]:
        bulk = self.config.bulk
        if bulk is None or len(requests) < 2:
            return super().send_many(requests)
        try:
            body = _fill(self._bulk_body, {"messages": [_variables(request) for request in requests]})
        except ProviderError:
            # One message that cannot be written must not hold back the others.
            return super().send_many(requests)
        # The same messages give the same key, so that a repeated bulk request is recognised too.
        key = uuid.uuid5(_BULK_KEYS, "".join(request.id.hex for request in requests)).hex
        try:
            answer = self._call(bulk.url, body, key, message_id=False)
            self._check(answer)
        except ProviderError as error:
            return [_copy(error) for _ in requests]
        return self._bulk_results(bulk, requests, answer)

    def parse_receipt(self, body: bytes, headers: Mapping[str, str]) -> list[Receipt | ReceiptError]:
        return read_receipts(body, self.config.receipts)

    def lookup(self, request: SendRequest) -> Literal["accepted", "absent", "unknown"]:
        if self._lookup_url is None:
            return "unknown"
        try:
            url = render(self._lookup_url, {"id": request.id.hex})
            answer = http.client().request("GET", url, headers=self._headers, total_timeout=self.config.timeout_seconds, needs_body=False)
        except (TemplateProblem, http.OutboundError):
            return "unknown"
        return "accepted" if answer.status == 200 else "absent" if answer.status == 404 else "unknown"

    def _call(self, url: str, body: bytes, key: str, *, message_id: bool = True, traceparent: str = "") -> http.Response:
        headers = {**self._headers, "Idempotency-Key": key}
        if traceparent and not self._has_own_traceparent:
            headers[w3c.HEADER] = traceparent
        if message_id:
            headers["X-Posthaste-Message-Id"] = key
        if self.config.method != "GET":
            headers["Content-Type"] = self.config.content_type
        if self._signer is not None:
            now = datetime.now(UTC)
            headers["webhook-id"] = key
            headers["webhook-timestamp"] = str(int(now.timestamp()))
            headers["webhook-signature"] = self._signer.sign(key, now, body.decode())
        try:
            return http.client().request(
                self.config.method, url, headers=headers, body=body or None, total_timeout=self.config.timeout_seconds
            )
        except http.OutboundError as error:
            if error.sent and not self.config.idempotent:
                raise OutcomeUnknown(error.code, error.detail) from None
            if error.code in ("bad_address", "bad_request"):  # our own client refuses it
                raise self._unsendable(error) from None
            fault = ProviderError(error.code, error.detail, unreachable=True)
            fault.at_fault = True
            raise fault from None

    def _unsendable(self, error: http.OutboundError) -> ProviderError:
        field = "url" if error.code == "bad_address" else "headers"
        return Misconfigured(error.detail, field=field) if self.config.url else CannotCompose(error.code, error.detail, field="recipient")

    def _check(self, answer: http.Response) -> None:
        success = answer.status in self._success
        error = mapped_error(answer, self.config.error_codes, success=success)
        if error is None and not success:
            error = status_error(answer)
        if error is not None:
            error.at_fault = answer.status >= 500 or answer.status in (408, 429)
            raise error

    def _bulk_results(self, bulk: BulkConfig, requests: Sequence[SendRequest], answer: http.Response) -> list[Accepted | ProviderError]:
        if not bulk.results_path:
            return [Accepted() for _ in requests]
        items = find(parse_json(answer.body), bulk.results_path)
        found: dict[str, Any] = {}
        if isinstance(items, list):
            if bulk.id_field:
                found = {as_text(find(item, bulk.id_field)).replace("-", "").lower(): item for item in items}
            elif len(items) == len(requests):
                found = {request.id.hex: item for request, item in zip(requests, items, strict=True)}
        return [self._bulk_result(bulk, found.get(request.id.hex), answer) for request in requests]

    def _bulk_result(self, bulk: BulkConfig, item: Any, answer: http.Response) -> Accepted | ProviderError:
        if not isinstance(item, dict):
            # The gateway said yes to the request and nothing about this message.
            detail = f"The answer tells nothing about this message. {excerpt(answer)}"
            return ProviderError("no_result", detail) if self.config.idempotent else OutcomeUnknown("no_result", detail)
        code = as_text(find(item, bulk.error_code_field)) if bulk.error_code_field else ""
        status = as_text(find(item, bulk.status_field)) if bulk.status_field else ""
        taken = status.casefold() in {value.casefold() for value in bulk.success_values} if bulk.status_field else not code
        if taken:
            return Accepted(as_text(find(item, bulk.message_id_field))[:200] if bulk.message_id_field else "")
        return ProviderError(
            (code or status or "rejected")[:64], f"The gateway answered {as_text(item)[:400]}", permanent=code in bulk.permanent_codes
        )


def _variables(request: SendRequest) -> dict[str, Any]:
    return {
        "id": request.id.hex,
        "recipient": request.recipient,
        "subject": request.subject,
        "body": request.body,
        "html": request.html,
        "channel": request.channel,
        "reference": request.reference,
        "metadata": dict(request.metadata),
        "attempt": request.attempt,
    }


def _fill(template: Any, variables: dict[str, Any]) -> bytes:
    try:
        return render(template, variables).encode()
    except (TemplateProblem, UnicodeEncodeError) as problem:
        raise CannotCompose("body_template", str(problem), field="body") from None


def _copy(error: ProviderError) -> ProviderError:
    """Return a copy of an error: an exception carries a traceback, so each message needs its own."""
    return type(error)(
        error.code,
        error.detail,
        permanent=error.permanent,
        retry_after=error.retry_after,
        unreachable=error.unreachable,
        elsewhere=error.elsewhere,
        hard_bounce=error.hard_bounce,
    )
