"""A bot that knows some entries, for tests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Tenant
from posthaste.lib.ids import new_id
from routing.configuration import bot, service_levels
from routing.configuration.hours import MIDNIGHT, OpenHours
from routing.conversations import lines
from routing.entrances.provision import ensure_reply_provider
from routing.faq import search
from routing.faq.index import Entry
from routing.faq.published import Published, copy_of
from routing.faq.search import Found
from routing.models import AuthorKind, Conversation, ConversationStatus, FaqEntry, FaqState
from tests.builders import configure, untraced
from tests.routing.builders import make_conversation, make_customer, make_identity

DETAILS: list[dict[str, Any]] = [
    {"intent": "order_status", "name": "order_number", "question": "Which order?", "question_zh": "订单号？", "pattern": "[A-Z]-[0-9]{4}"},
    {"intent": "order_status", "name": "city", "question": "To which city?"},
]


def enable(**changes: Any) -> None:
    """Switch the bot on, at a desk that is always open."""
    configure(service_levels, hours=[OpenHours(day=day, start=MIDNIGHT, end=MIDNIGHT) for day in range(1, 8)])
    configure(bot, is_enabled=True, **changes)


def make_entry(tenant: Tenant, slug: str = "", **fields: Any) -> FaqEntry:
    """Make a published entry."""
    now = timezone.now()
    slug = slug or f"entry-{new_id().hex}"
    values = {"question": "Where is my parcel?", "answer": "Look into **My orders**.", "state": FaqState.PUBLISHED, **fields}
    entry = FaqEntry(tenant=tenant, slug=slug, created_at=now, changed_at=now, **values)
    if entry.state == FaqState.PUBLISHED:
        entry.published, entry.published_at = copy_of(entry), now
    entry.save(force_insert=True)
    return entry


def make_with_bot(tenant: Tenant, *texts: str, at: datetime | None = None, **fields: Any) -> Conversation:
    """Make a conversation of the bot in which the customer has written something."""
    conversation = make_conversation(make_identity(make_customer(tenant)), status=ConversationStatus.BOT, **fields)
    with untraced() as by:
        ensure_reply_provider(tenant_id=tenant.pk, by=by)
    for text in texts:
        say(conversation, text, at=at)
    return conversation


def say(conversation: Conversation, text: str, *, intent: str = "", language: str = "en", at: datetime | None = None) -> None:
    """Write a line of the customer's."""
    conversation.refresh_from_db()
    recognition: dict[str, Any] = {"intent": intent, "alternatives": [[intent, 0.9]] if intent else [], "language": language}
    recognition |= {"confidence": 0.9} if intent else {}
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=text, recognition=recognition, now=at or timezone.now())


def know(monkeypatch: pytest.MonkeyPatch, entry: FaqEntry | None, score: float = 0.9) -> list[Sequence[str]]:
    """Have the search find an entry, or nothing, for whatever is asked; return what is asked from then on."""
    asked: list[Sequence[str]] = []

    def find(_tenant_id: int, texts: Sequence[str], *_rest: Any, **_options: Any) -> list[Found]:
        asked.append(list(texts))
        if entry is None:
            return []
        kept = Published(entry.question, (), entry.answer)
        return [Found(Entry(entry.pk, entry.slug, entry.language, "", "", True, kept), score)]

    monkeypatch.setattr(search, "find", find)
    return asked
