"""Which messages a machine sent, and which must not be answered by one (RFC 3834)."""

from collections.abc import Collection
from email.message import Message

#: Headers of automatic responders.
RESPONDERS = ("X-Autoreply", "X-Autorespond")
#: Headers that ask for no automatic answer. People's mail has them, too: a group that forwards to the mailbox adds List-Id.
NO_ANSWER = ("List-Id", "List-Unsubscribe", "X-Auto-Response-Suppress", "Feedback-ID")
#: Local parts that belong to mail systems (RFC 2142, RFC 5321) or that nothing is answered to.
SYSTEMS = {"mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply"}


def why_automatic(message: Message, *, sender: str, own_addresses: Collection[str]) -> str:
    """Return what shows that a message answers another one by itself, is a bounce, or is our own; empty: it is taken in as a text."""
    if sender in own_addresses:
        return "own"
    if _said(message, "Return-Path") == "<>" or message.get_content_type() == "multipart/report" or sender.startswith("mailer-daemon@"):
        return "bounce"
    if _said(message, "Auto-Submitted").partition(";")[0].strip() == "auto-replied":
        return "auto_replied"
    if _said(message, "Precedence") == "auto_reply" or any(message.get(name) for name in RESPONDERS):
        return "auto_replied"
    return ""


def why_unanswered(message: Message, *, sender: str) -> str:
    """Return why no machine may answer a message that is taken in as a text; empty: one may."""
    if _said(message, "Auto-Submitted").partition(";")[0].strip() not in ("", "no"):
        return "auto_submitted"
    if _said(message, "Precedence") in ("bulk", "junk", "list"):
        return "precedence"
    if any(message.get(name) for name in NO_ANSWER):
        return "list"
    return "system" if sender.partition("@")[0] in SYSTEMS else ""


def _said(message: Message, name: str) -> str:
    return str(message.get(name) or "").strip().lower()
