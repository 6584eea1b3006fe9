"""Visitors of the portal, articles and forms for tests."""

from typing import Any

import orjson
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from routing.entrances.portal import sessions
from routing.models import Entrance, FaqEntry, FaqState, PortalSession, TicketType

FIELDS = [
    {"key": "order", "kind": "order", "label": "Order number", "label_zh": "订单号", "required": "open", "is_public": True},
    {"key": "way", "kind": "choice", "label": "How", "is_public": True, "choices": [{"value": "Bank", "zh": "银行"}, {"value": "Card"}]},
    {"key": "cost", "kind": "number", "label": "Cost", "minimum": 0},
]


def make_article(tenant: Tenant, slug: str, question: str, answer: str = "Yes.", **fields: Any) -> FaqEntry:
    """Make an entry that is published."""
    now, phrasings = timezone.now(), fields.pop("phrasings", [])
    said = {"question": question, "phrasings": phrasings, "answer": answer}
    values = {"language": "en", "category": "Delivery", "state": FaqState.PUBLISHED, **fields}
    return FaqEntry.objects.create(tenant=tenant, slug=slug, **said, **{"published": said, "created_at": now, "changed_at": now, **values})


def make_form(tenant: Tenant, **fields: Any) -> TicketType:
    """Make a ticket type whose form the portal shows."""
    values = {"name": "refund", "title": "Refund", "title_zh": "退款", "fields": FIELDS, "is_public": True, **fields}
    return TicketType.objects.create(tenant=tenant, created_at=timezone.now(), **values)


class Visitor:
    """A browser on the pages of a portal."""

    def __init__(self, entrance: Entrance, *, token: str = "") -> None:
        self.entrance, self.token, self.client = entrance, token, Client()

    def begin(self, name: str = "Ada") -> "Visitor":
        """Begin a session."""
        visitor = sessions.visitor_of(self.entrance, name=name, now=timezone.now())
        self.session, self.token = sessions.begin(self.entrance, visitor, language="en", now=timezone.now())
        return self

    session: PortalSession

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def get(self, path: str = "", **query: str) -> Any:
        return self.client.get(f"/help/{self.entrance.pk}/{path}", query, headers=self._headers())

    def post(self, path: str, body: Any, **query: str) -> Any:
        address = f"/help/{self.entrance.pk}/{path}"
        return self.client.post(address, orjson.dumps(body), content_type="application/json", headers=self._headers(), query_params=query)
