"""What the bot did, day by day."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from django.db.models import Count, Q
from django.db.models.functions import TruncDate

from posthaste.lib.ids import first_id_at
from routing.models import BotAction, BotTurn, Conversation, ConversationStatus

#: How long before its end a conversation that ends in a span may have begun.
LONGEST = timedelta(days=30)


@dataclass(slots=True)
class Day:
    """One day: turns by what was done, and conversations that the bot had, handed over, and resolved without an agent."""

    day: date
    turns: dict[str, int] = field(default_factory=dict)
    conversations: int = 0
    handed_over: int = 0
    deflected: int = 0
    helpful: int = 0
    unhelpful: int = 0

    @property
    def deflection(self) -> float | None:
        """Return the share of the conversations ended on this day that needed no agent; None: none ended."""
        ended = self.handed_over + self.deflected
        return self.deflected / ended if ended else None


def by_day(tenant_id: int, *, since: datetime, until: datetime, zone: tzinfo) -> list[Day]:
    """Return the days of a span, as `zone` counts them, on which the bot did anything; three queries."""
    days: dict[date, Day] = {}
    turns = BotTurn.objects.filter(tenant_id=tenant_id, pk__gte=first_id_at(since - timedelta(days=1)), at__gte=since, at__lt=until)
    of_day = turns.annotate(day=TruncDate("at", tzinfo=zone)).order_by().values_list("day")
    liked, disliked = Q(was_helpful=True), Q(was_helpful=False)
    for day, action, number, helpful, unhelpful in of_day.values_list("day", "action").annotate(
        n=Count("pk"), helpful=Count("pk", filter=liked), unhelpful=Count("pk", filter=disliked)
    ):
        found = days.setdefault(day, Day(day))
        found.turns[action] = number
        found.helpful += helpful
        found.unhelpful += unhelpful
    over = Count("conversation", filter=Q(action=BotAction.HAND_OVER), distinct=True)
    for day, conversations, handed_over in of_day.annotate(n=Count("conversation", distinct=True), over=over):
        days[day].conversations, days[day].handed_over = conversations, handed_over
    had = BotTurn.objects.filter(tenant_id=tenant_id, pk__gte=first_id_at(since - LONGEST)).order_by().values("conversation")
    ended = Conversation.objects.filter(
        pk__in=had,
        status__in=(ConversationStatus.RESOLVED, ConversationStatus.CLOSED),
        resolved_at__gte=since,
        resolved_at__lt=until,
        agent=None,
        first_response_at=None,
    )
    for day, number in ended.annotate(day=TruncDate("resolved_at", tzinfo=zone)).order_by().values_list("day").annotate(n=Count("pk")):
        days.setdefault(day, Day(day)).deflected = number
    return [days[day] for day in sorted(days)]
