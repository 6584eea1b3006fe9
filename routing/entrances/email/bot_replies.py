"""Replies by a system, over the API: only so many an hour, and none to mail that asks for none, or two systems answer each other."""

from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from posthaste.lib.problems import Conflict
from routing.conversations import hooks
from routing.models import AuthorKind, Conversation, EntranceKind, Line

WINDOW = timedelta(hours=1)
USUAL = 10


class MailLoop(Conflict):
    """A system must not reply to this e-mail: it was sent by a machine or asks for no automatic reply, or too many were sent this hour."""

    code = "mail_loop"
    title = _("Automatic replies to this e-mail are not allowed")


@hooks.on_replied
def keep(conversation: Conversation, line: Line, now: datetime) -> None:
    """Refuse a system's reply that could begin a loop, in the transaction that writes it (RFC 3834, section 2). Agents may reply.

    Raises:
        MailLoop: it could.
    """
    entrance = conversation.entrance
    if entrance.kind != EntranceKind.EMAIL or line.author != AuthorKind.BOT:
        return
    if conversation.details.get("unanswered"):
        raise MailLoop(_("The customer's e-mail asks for no automatic reply. An agent can reply."))
    recent = Line.objects.filter(
        conversation__entrance=entrance, conversation__identity=conversation.identity_id, author=AuthorKind.BOT, created_at__gt=now - WINDOW
    )
    allowed = int(entrance.settings.get("bot_replies_per_hour", USUAL))
    if recent.count() > allowed:  # with this one, which is written already
        raise MailLoop(_("More than {n} automatic replies within an hour.").format(n=allowed))
