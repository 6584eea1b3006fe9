"""The words that the desk's scripts put into the page, in the reader's language, and how its states look."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from posthaste.ui import badges
from routing.desk import action_texts

#: Enumerations whose badges the desk shows.
LOOKS = ("conversation", "message", "presence", "clock", "assignment_cause", "ticket", "ticket_priority")


def texts() -> dict[str, Any]:
    """Return the words by their use."""
    return {
        "looks": looks(),
        "views": views(),
        "sorts": {"oldest": _("Waiting longest"), "newest": _("Newest first"), "due": _("Due first")},
        "authors": {"customer": _("Customer"), "agent": _("Agent"), "bot": _("Bot"), "system": _("System")},
        "metrics": {
            "first_response": _("First response"),
            "next_response": _("Next response"),
            "resolution": _("Resolution"),
            "due_day": _("Due day"),
        },
        "priorities": priorities(),
        "systemLines": {
            "automatic_mail": _("An automatic e-mail came in: {subject}"),
            "written_in_wecom": _("Answered in WeCom by {servicer}"),
            "": _("System note"),
        },
        "notices": {
            "mention": _("You were mentioned"),
            "assigned": _("Assigned to you"),
            "reply": _("New message from a customer"),
            "watched": _("Change to a ticket you watch"),
            "warning": _("Service level warning"),
            "breach": _("Service level breach"),
        },
        **_of_the_list(),
        **_of_the_conversation(),
        **_of_connections(),
        **action_texts.texts(),
    }


def looks() -> dict[str, dict[str, dict[str, str]]]:
    """Return tone, icon and word of each state, by the name of its enumeration."""
    found = {}
    for name in LOOKS:
        shown = {state: badges.shown(state, name) for state in badges.in_order(name)}
        found[name] = {state: {"tone": look.tone, "icon": look.icon, "label": look.label} for state, look in shown.items()}
    return found


def priorities() -> list[dict[str, Any]]:
    """Return the words of priorities, the highest first, each from its value on."""
    return [
        {"value": 9, "label": _("Urgent"), "tone": "failed"},
        {"value": 7, "label": _("High"), "tone": "unknown"},
        {"value": 5, "label": _("Normal"), "tone": "pending"},
        {"value": 2, "label": _("Low"), "tone": "cancelled"},
    ]


def priority_word(value: int) -> str:
    """Return what a priority is called."""
    found = priorities()
    return str(next((each for each in found if value >= each["value"]), found[-1])["label"])


def views() -> dict[str, str]:
    """Return the views of the inbox in their order."""
    return {
        "mine": _("Mine"),
        "team": pgettext("conversations", "Team"),
        "unassigned": pgettext("conversations", "Unassigned"),
        "breaching": _("Breaching"),
        "waiting": _("Waiting for the customer"),
        "snoozed": pgettext("conversations", "Snoozed"),
        "all": _("All open"),
        "resolved": pgettext("conversations", "Resolved"),
    }


def _of_the_list() -> dict[str, str]:
    return {
        "unread": _("{n} unread"),
        "draftOf": _("Draft: {text}"),
        "you": _("You"),
        "noName": _("Without a name"),
        "select": _("Select {name}"),
        "gone": _("No longer in this view"),
        "sort": _("Sort by"),
        "heldNew": _("{n} new"),
        "heldGone": _("{n} left"),
        "show": _("Show"),
        "total": _("{n} conversations"),
        "totalOne": _("1 conversation"),
        "selected": _("{n} selected"),
        "selectAll": _("Select all {n}"),
        "inboxZero": _("Nothing is waiting here"),
        "inboxZeroText": _("New conversations appear by themselves. Another view may have work to do."),
        "notOnline": _("You are not online"),
        "notOnlineText": _("Conversations are given to agents who are online. What waits can be taken by hand, too."),
        "goOnline": _("Go online"),
        "mineEmpty": _("You have no conversation"),
        "mineEmptyText": _("What is given to you appears here by itself. To take one, open one that waits and press a."),
        "nothingFound": _("Nothing found"),
        "nothingFoundText": _("No conversation matches the search and the filters."),
        "clearFilters": _("Clear search and filters"),
        "notAgent": _("You are not an agent here"),
        "notAgentText": _(
            "The desk shows conversations to agents, and to operators who supervise. Create an agent row for your user, with its groups."
        ),
        "toAgents": _("Agents"),
        "forbidden": _("You don't have permission to see this"),
        "filterGroup": pgettext("agents", "Group"),
        "filterAgent": _("Agent"),
        "filterTag": _("Tag"),
        "filterIntent": _("Intent"),
        "filterLanguage": _("Language"),
        "filterEntrance": _("Entrance"),
        "filterPriority": _("Priority"),
        "filterSearch": _("Search"),
        "removeFilter": _("Remove the filter {name}"),
        "addFilter": _("Filter by"),
        "saveFilter": _("Save these filters"),
        "filterName": _("Name of the filter"),
        "deleteFilter": _("Delete {name}"),
        "export": _("Export as CSV"),
        "savedFilters": _("Saved filters"),
        "more": _("More"),
    }


def _of_the_conversation() -> dict[str, Any]:
    return {
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "noteBy": _("Internal note"),
        "folded": _("{n} assignment changes"),
        "takenBy": _("{agent} · {cause}"),
        "mergedHere": _("Merged into this one"),
        "mergedInto": _("Merged into another conversation"),
        "openThat": _("Open it"),
        "download": _("Download {name}"),
        "image": _("Image {name}"),
        "trace": _("Trace of this message"),
        "correctIntent": _("Correct the intent"),
        "faqEntry": _("FAQ entry that the bot answered with"),
        "noIntent": _("No intent"),
        "sure": _("{percent} % sure"),
        "newLines": _("New below: {n}"),
        "typing": _("{name} is writing …"),
        "viewing": _("Also here: {names}"),
        "replying": _("{name} is replying to this"),
        "sending": _("Sending"),
        "notSent": pgettext("message", "Not sent"),
        "kept": _("Your text is kept."),
        "retry": _("Retry"),
        "discard": _("Discard"),
        "edit": _("Edit"),
        "conflict": _("There are new messages"),
        "conflictText": _("Your answer was not sent, so that you can read this first."),
        "sendAnyway": _("Send anyway"),
        "draftKept": _("Draft kept"),
        "draftHere": _("Draft kept on this device"),
        "quota": _("WeCom: {left} more replies until {time}"),
        "quotaOver": _("WeCom takes no more replies until the customer writes again."),
        "suggestion": _("Suggested answer"),
        "use": _("Use"),
        "files": _("Files"),
        "removeFile": _("Remove {name}"),
        "tooLarge": _("{name} is larger than {n} MiB."),
        "uploading": _("Uploading {name}"),
        "uploadFailed": _("{name} was not uploaded."),
        "replyHint": _("Answer the customer. / for quick replies"),
        "noteHint": _("Only agents see this. @ to mention a colleague"),
        "closedHint": _("This conversation has ended. Reopen it to answer."),
        "identities": _("Identities"),
        "verified": _("verified"),
        "attributes": _("Attributes"),
        "history": _("Earlier conversations"),
        "rating": _("Rating"),
        "rated": _("The customer gave {score} of 5"),
        "talkTickets": _("Tickets of this conversation"),
        "otherTickets": _("Other tickets"),
        "none": _("None"),
        "side": _("Side conversation"),
        "customerPage": _("Open the customer"),
        "level": _("Level"),
        "language": _("Language"),
        "withCustomer": _("Customer"),
        "dueIn": _("{time} left"),
        "overdue": _("{time} over"),
        "paused": _("paused"),
        "until": _("until {time}"),
        "unassigned": _("Not assigned yet"),
        "group": pgettext("agents", "Group"),
        "agent": _("Agent"),
        "chooseOne": _("Choose a conversation"),
        "chooseOneText": _("j and k move through the list, Enter opens, ? shows all keys."),
        "units": {"d": _("{n} d"), "h": _("{n} h"), "min": _("{n} min"), "s": _("{n} s")},
    }


def _of_connections() -> dict[str, str]:
    return {
        "live": pgettext("connection", "live"),
        "reconnecting": _("reconnecting"),
        "asOf": _("as of {time}"),
        "offline": _("No connection"),
        "offlineText": _("What you write is kept here, and can be sent once you are connected again."),
        "signedOut": _("You are signed out. Sign in again in another tab, then retry."),
        "failed": _("That did not work"),
        "close": _("Close"),
        "undo": _("Undo"),
        "noNotices": _("No notices"),
        "allRead": _("Mark all as read"),
        "notificationsOn": _("Browser notifications are on"),
        "notificationsOff": _("Turn on browser notifications"),
        "notificationsDenied": _("This browser blocks notifications from this site. Allow them in its settings."),
        "notificationTitle": _("{kind}: {name}"),
    }
