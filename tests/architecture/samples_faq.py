"""Entries of the FAQ for the walks over all addresses."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.models import BotTurn, Conversation, FaqEntry, FaqState
from tests.routing.bot.builders import make_entry


@dataclass(frozen=True, slots=True)
class OwnedFaq:
    """An entry in each state, and a turn of the bot."""

    draft: FaqEntry
    review: FaqEntry
    published: FaqEntry
    archived: FaqEntry
    turn: BotTurn

    def rows(self) -> list[Any]:
        """List them all."""
        return [self.draft, self.review, self.published, self.archived, self.turn]


def make_faq(tenant: Tenant, conversation: Conversation) -> OwnedFaq:
    """Make one of everything about the FAQ."""
    made = {state: make_entry(tenant, f"a-own-{state}", question=f"A's own {state}?", state=state) for state in FaqState}
    published = made[FaqState.PUBLISHED]
    turn = BotTurn.objects.create(
        tenant=tenant, conversation=conversation, seq=1, action="answer", reason="sure", entry=published, score=0.8, at=timezone.now()
    )
    return OwnedFaq(made[FaqState.DRAFT], made[FaqState.REVIEW], published, made[FaqState.ARCHIVED], turn)


ONE = "api/faq/entries/<uuid:id>/"
#: As `SAMPLES` of test_tenants.
FAQ: dict[str, tuple[str, dict[str, Any]]] = {
    "api/faq/<uuid:id>/": ("faq.published.pk", {}),
    ONE: ("faq.draft.pk", {"PATCH": {"answer": "mine"}}),
    f"{ONE}submit/": ("faq.draft.pk", {}),
    f"{ONE}return/": ("faq.review.pk", {}),
    f"{ONE}publish/": ("faq.review.pk", {}),
    f"{ONE}archive/": ("faq.published.pk", {}),
    f"{ONE}restore/": ("faq.archived.pk", {}),
    "api/conversations/<uuid:id>/suggestions/": ("conversation.pk", {}),
}
