"""The kind of entrance `webhook`: its settings and its adapter. Requests and replies are signed as Standard Webhooks defines it."""

import base64
from typing import Self

import orjson
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting
from messaging.channels.base import CannotCompose, Misconfigured, OutcomeUnknown, ProviderError
from posthaste.lib import http
from posthaste.lib.targets import target_of
from routing.contract import Answer, EntranceRow, InboundRequest, NotAuthentic, Parsed, Reply
from routing.entrances import signatures
from routing.entrances.registry import Kind, declare
from routing.entrances.webhook import body
from routing.models import EntranceKind


class WebhookSettings(Shape):
    """Where replies are posted."""

    reply_url: str = setting(
        "",
        _("Address for replies"),
        _("Replies are posted here, signed with the same secret. Empty: replies can't be sent."),
        max_length=2048,
    )
    asks_rating: bool = setting(False, _("Ask for a rating"), _("The customer gets a link to rate with when a conversation is resolved."))

    @model_validator(mode="after")
    def _is_an_address(self) -> Self:
        if self.reply_url:
            try:
                target_of(self.reply_url)
            except http.OutboundError as error:
                raise hot.Wrong("reply_url", "{reason}", reason=error.detail) from None
        return self


class WebhookSecrets(Shape):
    """What requests are signed with."""

    secret: str = setting("", _("Signing secret"), _("At least 32 characters, or whsec_ and Base64 of at least 24 bytes."), max_length=200)
    old_secret: str = setting(
        "", _("Old signing secret"), _("Is accepted beside the new one while the other system changes over."), max_length=200
    )

    @model_validator(mode="after")
    def _are_secrets(self) -> Self:
        hot.filled(self, "secret")
        for name, value in (("secret", self.secret), ("old_secret", self.old_secret)):
            try:
                is_long = len(value) >= 32 and bool(signatures.key_of(value))
            except ValueError:
                is_long = False
            if value and not is_long:
                raise hot.Wrong(name, _("At least 32 characters, or whsec_ and Base64 of at least 24 bytes."))
        return self


class WebhookAdapter:
    """Takes signed JSON, and posts replies signed."""

    def verify(self, entrance: EntranceRow, request: InboundRequest) -> None:
        if request.method != "POST":
            raise NotAuthentic
        secrets = [str(entrance.secrets.get(name, "")) for name in ("secret", "old_secret")]
        signatures.verify(request, secrets=[secret for secret in secrets if secret])

    def parse(self, entrance: EntranceRow, request: InboundRequest) -> Parsed:
        incoming = body.read(request.body, received_at=request.received_at)
        said = orjson.dumps({"id": incoming.external_id})
        return Parsed(incoming=[incoming], answer=Answer(status=202, body=said, content_type="application/json"))

    def reply(self, entrance: EntranceRow, reply: Reply) -> str:
        url, secret = str(entrance.settings.get("reply_url", "")), str(entrance.secrets.get("secret", ""))
        if not url or not secret:
            raise CannotCompose("no_reply_url", _("The entrance has no address for replies. Set one, then retry the message."))
        said = {
            "type": "reply",
            "id": reply.message_id,
            "to": reply.identity_value,
            "text": reply.text,
            "thread": reply.details.get("thread", ""),
            "files": [
                {"name": name, "content_type": content_type, "content": base64.b64encode(content).decode()}
                for name, content_type, content in reply.files
            ],
        }
        posted = orjson.dumps(said)
        headers = signatures.headers_for(secret=secret, message_id=reply.message_id, body=posted, now=timezone.now())
        try:
            answer = http.client().request(
                "POST", url, headers={"Content-Type": "application/json", **headers}, body=posted, max_body=65_536, needs_body=False
            )
        except http.OutboundError as error:
            if error.sent:
                raise OutcomeUnknown(error.code, error.detail) from None
            if error.code in ("blocked_address", "bad_address"):
                raise Misconfigured(error.detail, field="reply_url") from None
            raise ProviderError(error.code, error.detail, unreachable=True) from None
        if answer.status >= 500 or answer.status in (408, 425, 429):
            raise ProviderError(f"http_{answer.status}", answer.text[:200], unreachable=True)
        if not 200 <= answer.status < 300:
            raise ProviderError(f"http_{answer.status}", answer.text[:200], permanent=True)
        return reply.message_id


declare(
    Kind(
        code=EntranceKind.WEBHOOK,
        title=gettext_lazy("Signed webhook"),
        adapter=WebhookAdapter(),
        Settings=WebhookSettings,
        Secrets=WebhookSecrets,
    )
)
