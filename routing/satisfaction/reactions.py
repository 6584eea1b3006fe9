"""What follows for ratings from what happens in conversations. Imported when the application starts, in every process."""

from datetime import datetime

from routing.conversations import hooks
from routing.models import Conversation
from routing.satisfaction import asking, links  # noqa: F401 - says what a link to a rating does


@hooks.on_resolved
def ask(conversation: Conversation, now: datetime) -> None:
    """Ask the customer of a resolved conversation for a rating."""
    asking.ask_after(conversation, now=now)
