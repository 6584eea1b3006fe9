"""The words of what agents do to conversations, and the keys for it."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


def texts() -> dict[str, Any]:
    """Return the words by their use."""
    return {
        "actions": {
            "claim": _("Assign to me"),
            "transfer": _("Transfer"),
            "release": _("Back to the queue"),
            "resolve": pgettext("action", "Resolve"),
            "reopen": pgettext("action", "Reopen"),
            "close": pgettext("action", "Close conversation"),
            "spam": _("Mark as spam"),
            "snooze": pgettext("action", "Snooze"),
            "wake": _("End the snooze"),
            "tags": _("Tags"),
            "priority": _("Priority"),
            "intent": _("Intent"),
            "merge": _("Merge into another"),
            "mergeMany": _("Merge"),
            "unmerge": _("Undo the merge"),
            "ticket": _("New ticket"),
            "split": _("New ticket from lines"),
            "side": _("Ask others by e-mail"),
            "note": _("Note"),
            "all": _("All actions"),
            "addNote": _("Add note"),
            "reply": pgettext("action", "Reply"),
        },
        "done": {
            "claim": _("Assigned to you"),
            "transfer": pgettext("conversation", "Transferred"),
            "release": _("Back in the queue"),
            "resolve": pgettext("conversation", "Resolved"),
            "reopen": _("Reopened"),
            "close": pgettext("conversation", "Closed"),
            "spam": _("Marked as spam"),
            "snooze": _("Snoozed"),
            "tags": _("Tags changed"),
            "priority": _("Priority changed"),
            "intent": _("Intent corrected"),
            "merge": pgettext("conversation", "Merged"),
            "unmerge": _("The merge was undone."),
            "ticket": _("Ticket created"),
            "side": _("E-mail sent"),
        },
        "bulkDone": _("{n} done"),
        "bulkRefused": _("{n} refused: {why}"),
        "search": _("Search"),
        "nothing": _("No match"),
        "groups": pgettext("agents", "Groups"),
        "agents": _("Agents"),
        "alternatives": _("Also recognized"),
        "allIntents": _("All intents"),
        "newTag": _("New tag {name}"),
        "snoozeFor": {
            "hour": _("In one hour"),
            "afternoon": _("In three hours"),
            "tomorrow": _("Tomorrow at 9"),
            "monday": _("Monday at 9"),
            "custom": _("Another time"),
        },
        "snoozeTime": _("Snooze until"),
        "mergeWith": _("Conversation to keep"),
        "mergeText": _("This conversation is closed, and its messages are shown before those of the one you keep."),
        "noMerge": _("The customer has no other open conversation."),
        "mergeManyText": _(
            "The conversations of {name} go on as one; the others are closed and shown before it. Replies go to {to}. It can be undone."
        ),
        "mergeGoesOn": _("Goes on"),
        "mergeAreClosed": _("Are merged into it"),
        "mergeStay": _("Stay as they are"),
        "splitText": _("The conversation stays whole; the ticket quotes the lines that you choose."),
        "splitLines": _("What the ticket is about"),
        "splitOn": _("Go on to the ticket"),
        "splitNone": _("Choose a line at least."),
        "sideTo": _("E-mail address"),
        "sideSubject": _("Subject"),
        "sideText": _("Text"),
        "sideHelp": _("Answers come back here as a side conversation. The customer does not see it."),
        "save": _("Save"),
        "send": _("Send"),
        "spamAsk": _("For some weeks, new messages from this sender will be marked as spam too. Reopen the conversation to undo this."),
    }


def keys() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the keys of the desk by subject, each with what it does."""
    return [
        (
            _("List"),
            [
                ("j k", _("Next and previous conversation")),
                ("Enter", _("Open the conversation")),
                ("x", _("Select the conversation")),
                ("/", _("Search")),
                ("g", _("Go to another view")),
                ("f", _("Filter")),
                ("Esc", _("Close what is open, then leave the conversation")),
            ],
        ),
        (
            _("Writing"),
            [
                ("Ctrl Enter", _("Send")),
                ("/", _("Quick replies")),
                ("@", _("Mention an agent in a note")),
                ("Esc", _("Leave the field; the draft is kept")),
            ],
        ),
        (
            _("Conversation"),
            [
                ("r", pgettext("action", "Reply")),
                ("n", _("Note")),
                ("a", _("Assign to me")),
                ("t", _("Transfer")),
                ("e", pgettext("action", "Resolve")),
                ("s", pgettext("action", "Snooze")),
                ("i", _("Correct the intent")),
                ("l", _("Tags")),
                ("p", _("Priority")),
                ("m", _("All actions")),
                ("c", _("Customer")),
            ],
        ),
        (_("Everywhere"), [("?", _("Show this list"))]),
    ]
