"""A conversation and those that were merged into it, or into those: nothing moves in a merge, what belongs together is read."""

from routing.models import Conversation

MAX_DEPTH = 20  # merges of merges


def root_of(conversation: Conversation) -> Conversation:
    """Return the conversation that goes on in the stead of a merged one, or the conversation itself."""
    found = conversation
    for _step in range(MAX_DEPTH):
        if found.merged_into is None:
            break
        found = found.merged_into
    return found


def merged_into(conversation: Conversation, *, limit: int) -> list[Conversation]:
    """Return the conversations that were merged into one, directly or through others, oldest first."""
    found: list[Conversation] = []
    newest = [conversation.pk]
    for _step in range(MAX_DEPTH):
        rows = Conversation.objects.filter(merged_into__in=newest).select_related("entrance").order_by("pk")[:limit]
        found += rows
        newest = [row.pk for row in rows]
        if not newest or len(found) >= limit:
            break
    return sorted(found, key=lambda row: row.pk)[:limit]
