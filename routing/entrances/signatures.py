"""Signatures of Standard Webhooks on what comes in, and on what goes out (https://www.standardwebhooks.com)."""

import base64
from collections.abc import Sequence
from datetime import datetime

import structlog
from django.utils.translation import gettext as _
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from messaging.receipts.receive import REASONS
from routing.contract import InboundRequest, NotAuthentic

PREFIX = "whsec_"
log = structlog.get_logger(__name__)


def key_of(secret: str) -> Webhook:
    """Return what signs and checks. A secret that begins with whsec_ is Base64 behind it, as everywhere; any other is used as it is."""
    return Webhook(secret if secret.startswith(PREFIX) else base64.b64encode(secret.encode()).decode())


def verify(request: InboundRequest, *, secrets: Sequence[str]) -> None:
    """Check signature and age (five minutes) of a request; one of the secrets has to fit.

    Raises:
        NotAuthentic: missing, wrong or too old.
    """
    reason = _("no signature matches")
    for secret in secrets:
        try:
            key_of(secret).verify(request.body, dict(request.headers), json_parse=False)
        except WebhookVerificationError as error:
            reason = _(REASONS.get(str(error), str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a stranger's headers break in the library is no valid signature
            log.debug("a signature could not be read", error=type(error).__name__)
        else:
            return
    raise NotAuthentic(_("Signature refused: {reason}. Send webhook-id, webhook-timestamp and webhook-signature.").format(reason=reason))


def headers_for(*, secret: str, message_id: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that sign a request of ours."""
    signature = key_of(secret).sign(message_id, now, body.decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
