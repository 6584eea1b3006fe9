"""Replies with files through entrances that can't send any are refused, before they are written: a file must not be lost silently."""

from datetime import datetime

from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.conversations import hooks
from routing.models import Conversation, EntranceKind, Line

WITHOUT_FILES = frozenset({EntranceKind.EMAIL, EntranceKind.WECOM_APP})


@hooks.on_replied
def refuse_files(conversation: Conversation, line: Line, now: datetime) -> None:
    """Refuse a reply with files where its entrance sends texts only, in the transaction that writes it.

    Raises:
        Invalid: it has files.
    """
    if conversation.entrance.kind in WITHOUT_FILES and line.attachments.exists():
        raise Invalid.field("files", _("Files can't be sent through this entrance. Send a link instead."), "not_supported")
