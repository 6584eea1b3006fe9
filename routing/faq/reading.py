"""Reading entries and what became of them; every list is of one tenant."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from accounts.tenancy import owned_by
from routing.models import BotAction, BotTurn, ConversationStatus, FaqEntry


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many conversations the bot answered with an entry, and how many of them were resolved without an agent."""

    answered: int = 0
    deflected: int = 0


def drafts_and_published(tenant_id: int) -> "QuerySet[FaqEntry]":
    """Return all entries of a tenant, newest first."""
    return owned_by(FaqEntry.objects.all(), tenant_id).order_by("-pk")


def categories(tenant_id: int) -> list[str]:
    """Return the categories that a tenant's entries have, in their order."""
    rows = owned_by(FaqEntry.objects.exclude(category=""), tenant_id).order_by("category")
    return list(rows.values_list("category", flat=True).distinct()[:500])


def outcomes(entry_ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """Return what became of the conversations that the bot answered with some entries; one query."""
    answers = BotTurn.objects.filter(entry__in=entry_ids, action=BotAction.ANSWER).order_by()
    ended = Q(conversation__status__in=(ConversationStatus.RESOLVED, ConversationStatus.CLOSED), conversation__agent=None)
    counted = answers.values_list("entry").annotate(
        n=Count("conversation", distinct=True),
        without=Count("conversation", filter=ended & Q(conversation__first_response_at=None), distinct=True),
    )
    return {entry: Outcome(number, without) for entry, number, without in counted}
