"""A conversation as an e-mail, for the visitor who had it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from posthaste.lib.problems import Conflict
from routing.models import AuthorKind, Conversation, Line, PortalSession
from routing.portal import mails

#: The last lines of a conversation.
MAX_LINES = 500


@transaction.atomic
def send_transcript(session: PortalSession, conversation: Conversation, *, address: str, title: str, ip: str, now: datetime) -> UUID:
    """Send a visitor's conversation to an address, and return the id of the message.

    Raises:
        Conflict: no one has answered yet: a page that mails what a stranger typed is a tool for spam.
        TooMany: too many were asked for.
    """
    rows = Line.objects.filter(conversation=conversation).select_related("agent").prefetch_related("attachments").order_by("-seq")
    lines = list(reversed(rows[:MAX_LINES]))
    if not any(line.author in (AuthorKind.AGENT, AuthorKind.BOT) for line in lines):
        raise Conflict(_("There is nothing to send yet: the conversation has no answer."))
    subject = _("Your conversation with {title}").format(title=title)
    body = "\n\n".join([subject, *(_shown(line, title) for line in lines)])
    return mails.send(session, address=address, subject=subject, body=body, about=str(conversation.pk), ip=ip, now=now)


def _shown(line: Line, title: str) -> str:
    at = timezone.localtime(line.created_at)
    own = {AuthorKind.CUSTOMER: _("You"), AuthorKind.BOT: _("Assistant")}
    who = own.get(AuthorKind(line.author)) or (line.agent.name if line.agent else title)
    files = [_("File: {name}").format(name=file.name) for file in line.attachments.all()]
    head = f"{at:%Y-%m-%d %H:%M %Z} · {who}"
    return "\n".join([head, *filter(None, [line.text]), *files])
