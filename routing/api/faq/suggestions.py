"""Answers that an agent may give in a conversation."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from routing.api.faq import shapes
from routing.bot import suggestions
from routing.conversations import selectors
from routing.models import Conversation
from routing.scopes import CONVERSATIONS_READ


class ConversationSuggestions(TenantView):
    """`/api/conversations/{id}/suggestions/`."""

    scopes = {"GET": CONVERSATIONS_READ}
    queryset = Conversation.objects.none()
    queries = {"GET": shapes.SuggestionsQuery}

    def get_queryset(self) -> "QuerySet[Conversation]":
        return selectors.conversations(self.tenant_id)

    @extend_schema(
        summary="Suggested answers",
        description="Published entries of the FAQ that answer what the customer wrote last, the likeliest first.",
        parameters=[shapes.SuggestionsQuery],
        responses=shapes.SuggestionsOut,
    )
    def get(self, request: Request, id: str) -> Response:
        found = suggestions.for_conversation(self.get_object(), self.asked()["limit"])
        results = [
            {
                "entry": each.entry.id,
                "slug": each.entry.slug,
                "language": each.entry.language,
                "question": each.entry.question,
                "text": each.answer,
                "score": each.score,
            }
            for each in found
        ]
        return Response(shapes.SuggestionsOut({"results": results}).data)
