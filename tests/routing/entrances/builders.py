"""Entrances with their settings, and what calls at them, for tests."""

import base64
import time
from datetime import UTC, datetime
from typing import Any

import orjson
from django.test import Client
from standardwebhooks import Webhook

from accounts.models import Tenant
from routing.entrances import registry
from routing.entrances.provision import ensure_reply_provider
from routing.models import Arrival, Entrance, EntranceKind, Line
from routing.processing import process
from tests.builders import TESTER
from tests.peers.wecom import AES_KEY, CORP_ID, SECRET, TOKEN, WeCom
from tests.routing.builders import make_entrance

HOOK_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
POST_SECRET = "a-posting-secret-of-32-characters"
EMAIL = {"address": "help@shop.example"}


def make_kind(kind: EntranceKind, *, settings: dict[str, Any], secrets: dict[str, Any], tenant: Tenant | None = None) -> Entrance:
    """Make an entrance as its service does, without an audit entry."""
    checked, hidden = registry.checked(kind, settings=settings, secrets=secrets)
    entrance = make_entrance(tenant, kind, settings=checked, secrets=hidden)
    ensure_reply_provider(tenant_id=entrance.tenant_id, by=TESTER)
    return entrance


def make_wecom(kind: EntranceKind, wecom: WeCom, **settings: Any) -> Entrance:
    """Make an entrance of WeCom that knows the server of the tests."""
    return make_kind(
        kind,
        settings={"corp_id": CORP_ID, "base_url": wecom.url, **settings},
        secrets={"secret": SECRET, "token": TOKEN, "encoding_aes_key": AES_KEY},
    )


def make_webhook(**settings: Any) -> Entrance:
    """Make a signed webhook."""
    return make_kind(EntranceKind.WEBHOOK, settings=settings, secrets={"secret": HOOK_SECRET})


def make_email(**settings: Any) -> Entrance:
    """Make an e-mail entrance that mail is posted to."""
    return make_kind(EntranceKind.EMAIL, settings={**EMAIL, **settings}, secrets={"posting_secret": POST_SECRET})


def path_of(entrance: Entrance) -> str:
    """Return the path that other systems call."""
    return f"/in/{entrance.pk}/"


def call_back(entrance: Entrance, wecom: WeCom, fields: dict[str, Any]) -> Any:
    """Call an entrance as WeCom does, and return the answer."""
    query, body = wecom.caller.sealed(fields)
    return Client().post(f"{path_of(entrance)}?{query}", body, content_type="text/xml")


def post_signed(entrance: Entrance, body: Any, *, at: float | None = None, secret: str = HOOK_SECRET) -> Any:
    """Post JSON with a signature, and return the answer."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    moment = time.time() if at is None else at
    signer = Webhook(secret)
    signed = signer.sign("call-1", datetime.fromtimestamp(moment, UTC), raw.decode(errors="replace"))
    headers = {"webhook-id": "call-1", "webhook-timestamp": str(int(moment)), "webhook-signature": signed}
    return Client().post(path_of(entrance), raw, content_type="application/json", headers=headers)


def post_mail(entrance: Entrance, content: bytes, *, secret: str = POST_SECRET) -> Any:
    """Post a message as a mail server does, and return the answer."""
    headers = {"Authorization": f"Bearer {secret}"}
    return Client().post(path_of(entrance), content, content_type="message/rfc822", headers=headers)


def lines_of(entrance: Entrance) -> list[Line]:
    """Process what has arrived, and return the lines of an entrance in their order."""
    process.process_arrivals()
    failed = Arrival.objects.exclude(state="done").values_list("state", "error")
    assert not list(failed)
    return list(Line.objects.filter(conversation__entrance=entrance).select_related("conversation__identity").order_by("pk"))
