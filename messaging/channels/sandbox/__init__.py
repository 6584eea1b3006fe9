"""A provider that sends nothing: for trying things out, for tests, and for API keys of kind sandbox.

Every message is accepted unless the configuration or the recipient asks for trouble. Recipients with a meaning:

| what happens                            | sms          | email            | push, wecom, chat | webhook (host or first part of the path) |
|-----------------------------------------|--------------|------------------|-------------------|------------------------------------------|
| refused for good                        | +15005550001 | fail@…           | fail-…            | fail                                     |
| fails once, then succeeds               | +15005550002 | fail-once@…      | fail-once-…       | fail-once                                |
| fails twice, then succeeds              | +15005550003 | fail-twice@…     | fail-twice-…      | fail-twice                               |
| fails always, but never for good        | +15005550004 | fail-always@…    | fail-always-…     | fail-always                              |
| taken, then a receipt says failed       | +15005550005 | bounce@…         | bounce-…          | bounce                                   |
| asks to wait 2 s, then takes it         | +15005550006 | slow-down@…      | slow-down-…       | slow-down                                |
| the answer never comes, outcome unknown | +15005550009 | timeout@…        | timeout-…         | timeout                                  |
"""

import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import Field

from messaging.channels.base import Accepted, Adapter, OutcomeUnknown, ProviderConfig, ProviderError, Receipt, ReceiptError, SendRequest
from messaging.channels.channel import CHANNELS
from posthaste.lib import foreign_json

Behaviour = Literal["fail", "fail-once", "fail-twice", "fail-always", "bounce", "slow-down", "timeout"]

BEHAVIOURS: tuple[Behaviour, ...] = ("fail-once", "fail-twice", "fail-always", "fail", "bounce", "slow-down", "timeout")
NUMBERS: dict[str, Behaviour] = {
    "+15005550001": "fail",
    "+15005550002": "fail-once",
    "+15005550003": "fail-twice",
    "+15005550004": "fail-always",
    "+15005550005": "bounce",
    "+15005550006": "slow-down",
    "+15005550009": "timeout",
}
_PREFIX = re.compile(r"(fail-once|fail-twice|fail-always|fail|bounce|slow-down|timeout)(?=$|[-_.:/@+])")


def behaviour_of(channel: str, recipient: str) -> Behaviour | None:
    """Return what the sandbox does with a recipient, if it is one with a meaning."""
    if channel == "sms":
        return NUMBERS.get(recipient)
    if channel == "webhook":
        parts = urlsplit(recipient)
        found = _PREFIX.match(parts.hostname or "") or _PREFIX.match(parts.path.lstrip("/"))
    else:
        found = _PREFIX.match(recipient)
    return found.group(1) if found else None  # type: ignore[return-value]


class SandboxConfig(ProviderConfig):
    """What the sandbox does with ordinary recipients."""

    latency_ms: int = Field(0, ge=0, le=60_000, description=_("Duration of a call, single or bulk."))
    failure_rate: float = Field(0.0, ge=0, le=1, description=_("Share of messages that fail, to be retried."))
    timeout_rate: float = Field(0.0, ge=0, le=1, description=_("Share of messages whose outcome stays unknown."))
    receipts: Literal["none", "delivered"] = Field("none", description=_("Send a receipt for each accepted message."))
    keep_outbox: bool = Field(True, description=_("Keep sent messages for inspection."))
    seed: int | None = Field(None, description=_("Makes the random failures repeatable."))


def _keep_nothing(requests: Sequence[SendRequest]) -> None:
    """Until the application lends an outbox."""


class SandboxAdapter(Adapter):
    kind = "sandbox"
    title = gettext_lazy("Sandbox")
    channels = CHANNELS.keys()  # every one, also those of other apps
    Config = SandboxConfig

    bulk_size = 100
    chunk_size = 100
    idempotent = True  # nothing leaves, so nothing can arrive twice

    #: Takes the messages of a call that were accepted. The application sets it; adapters know no models.
    outbox: ClassVar[Callable[[Sequence[SendRequest]], None]] = staticmethod(_keep_nothing)
    #: Takes the receipts that a real provider would send later. None: no receipts.
    receipts_sink: ClassVar[Callable[[Sequence[Receipt]], None] | None] = None

    config: SandboxConfig

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(config)
        self._random = random.Random(config.seed)  # noqa: S311  not for secrets
        self._lock = threading.Lock()

    def hand_over(self, composed: SendRequest) -> Accepted:
        result = self.send_many([composed])[0]
        if isinstance(result, ProviderError):
            raise result
        return result

    def send_many(self, requests: Sequence[SendRequest]) -> list[Accepted | ProviderError]:
        if self.config.latency_ms:
            time.sleep(self.config.latency_ms / 1000)
        results = [self._answer(request) for request in requests]
        taken = [request for request, result in zip(requests, results, strict=True) if isinstance(result, Accepted)]
        if taken and self.config.keep_outbox:
            type(self).outbox(taken)
        sink = type(self).receipts_sink
        if taken and sink is not None:
            receipts = [receipt for request in taken if (receipt := self._receipt(request))]
            if receipts:
                sink(receipts)
        return results

    def _answer(self, request: SendRequest) -> Accepted | ProviderError:
        match behaviour_of(request.channel, request.recipient):
            case "fail":
                return ProviderError("sandbox_refused", _("The sandbox refuses this recipient for good."), permanent=True)
            case "fail-once" if request.attempt <= 1:
                return ProviderError("sandbox_failed", _("The sandbox fails the first attempt for this recipient."))
            case "fail-twice" if request.attempt <= 2:
                return ProviderError("sandbox_failed", _("The sandbox fails the first two attempts for this recipient."))
            case "fail-always":
                return ProviderError("sandbox_failed", _("The sandbox fails every attempt for this recipient."))
            case "slow-down" if request.attempt <= 1:
                return ProviderError("rate_limited", _("The sandbox asks to wait."), retry_after=2.0)
            case "timeout":
                return OutcomeUnknown("timeout", _("The sandbox never answers for this recipient."))
        if self.config.failure_rate or self.config.timeout_rate:
            with self._lock:
                drawn = self._random.random()
            if drawn < self.config.timeout_rate:
                return OutcomeUnknown("timeout", _("Drawn by timeout_rate."))
            if drawn < self.config.timeout_rate + self.config.failure_rate:
                return ProviderError("sandbox_failed", _("Drawn by failure_rate."))
        return Accepted(f"sandbox-{request.id.hex}")

    def _receipt(self, request: SendRequest) -> Receipt | None:
        if behaviour_of(request.channel, request.recipient) == "bounce":
            return Receipt("failed", request.id, f"sandbox-{request.id.hex}", "bounced", _("The sandbox bounces this recipient."))
        if self.config.receipts == "delivered":
            return Receipt("delivered", request.id, f"sandbox-{request.id.hex}")
        return None

    def parse_receipt(self, body: bytes, headers: object) -> list[Receipt]:
        """Read `{"provider_message_id": "sandbox-…", "status": "delivered" | "failed"}`."""
        try:
            item = foreign_json.loads(body)
            if item["status"] not in ("delivered", "failed"):
                raise ValueError
            return [
                Receipt(
                    item["status"],
                    provider_message_id=str(item["provider_message_id"]),
                    code=str(item.get("code", "")),
                    detail=str(item.get("detail", "")),
                )
            ]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ReceiptError(gettext("Send provider_message_id, such as sandbox-…, and status: delivered or failed.")) from None

    def lookup(self, request: SendRequest) -> Literal["accepted", "absent", "unknown"]:
        return "unknown" if behaviour_of(request.channel, request.recipient) == "timeout" else "accepted"
