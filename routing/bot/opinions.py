"""Whether an answer of the bot helped."""

from django.db import transaction

from routing.faq import counting
from routing.models import BotAction, BotTurn


@transaction.atomic
def note(*, turn: BotTurn, helpful: bool) -> bool:
    """Keep what the customer thinks of an answer, and count it for its entry; False: it was no answer, or is known.

    A customer may change their mind. Two at once count once.
    """
    rows = BotTurn.objects.filter(pk=turn.pk, action=BotAction.ANSWER)
    for before in (None, not helpful):
        same = rows.filter(was_helpful__isnull=True) if before is None else rows.filter(was_helpful=before)
        if same.update(was_helpful=helpful):
            if turn.entry_id is not None:
                counting.note_opinion(turn.entry_id, tenant_id=turn.tenant_id, helpful=helpful, instead=before is not None)
            return True
    return False
