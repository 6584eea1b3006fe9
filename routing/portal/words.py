"""The texts that the scripts of the pages put in."""

from django.utils.translation import gettext as _


def of_chat() -> dict[str, str]:
    """Return the texts of the chat."""
    return {
        "connecting": _("Connecting…"),
        "live": _("Connected"),
        "reconnecting": _("Connection lost. Reconnecting…"),
        "offline": _("You are offline. What you write is kept and sent later."),
        "slow": _("Connected. Answers may be a few seconds late."),
        "sending": _("Sending…"),
        "sent": _("Sent"),
        "read": _("Read"),
        "kept": _("Not sent yet"),
        "failed": _("Not sent. Tap to try again."),
        "you": _("You"),
        "bot": _("Assistant"),
        "team": _("Team"),
        "typing": _("{name} is writing…"),
        "someone": _("The team"),
        "place_next": _("You are next."),
        "place": _("{n} people are ahead of you."),
        "place_one": _("One person is ahead of you."),
        "wait_minutes": _("About {n} min."),
        "wait_soon": _("Less than a minute."),
        "with": _("You are talking to {name}."),
        "waiting": _("We will be with you soon."),
        "resolved": _("This conversation is resolved. Write to continue it."),
        "closed": _("This conversation has ended. Write to start a new one."),
        "closed_now": _("We are closed at the moment. Leave a message and we will answer when we are back."),
        "opens": _("We are closed until {time}. Leave a message and we will answer then."),
        "file": _("File"),
        "too_large": _("The file is too large."),
        "remove": _("Remove {name}"),
        "refused": _("Not sent: {reason}"),
        "must_sign": _("This chat is for visitors who are signed in on the site. Sign in there, then open it again."),
        "too_much": _("Too many messages at once. Sending continues in {n} s."),
        "thanks": _("Thank you for your rating."),
        "change": _("Change the rating"),
        "choose": _("Choose 1 to 5 first."),
        "email_kept": _("We can reach you at {email}."),
        "mailed": _("Sent to {email}."),
        "wrong": _("That did not work. Try again."),
        "copied": _("Copied"),
        "address": _("Enter the address it is sent to."),
        "new_lines": _("New messages below"),
        "today": _("Today"),
    }


def of_article() -> dict[str, str]:
    """Return the texts of an article's page."""
    return {
        "thanks": _("Thank you, that helps us to write better answers."),
        "known": _("You have told us already. Thank you."),
        "wrong": _("That did not work. Try again."),
    }


def of_request() -> dict[str, str]:
    """Return the texts of a form."""
    return {
        "sending": _("Sending…"),
        "wrong": _("That did not work. What you wrote is still here; try again."),
        "must_sign": _("This portal is for visitors who are signed in on the site."),
    }


def of_requests() -> dict[str, str]:
    """Return the texts of the list of tickets."""
    return {"wrong": _("The list could not be loaded. Try again.")}


def of_one_request() -> dict[str, str]:
    """Return the texts of a ticket's page."""
    return {
        "wrong": _("That did not work. What you wrote is still here; try again."),
        "unread": _("The request could not be loaded. Try again."),
        "you": _("You"),
        "bot": _("Assistant"),
        "team": _("Team"),
        "opened": _("Opened {date}"),
        "answer": _("Write to us about this request"),
        "reopen": _("Not solved? Write what is missing, and the request is opened again (until {date})."),
        "over": _("This request is closed. If you need more help, send a new one."),
        "elsewhere": _("We talk about this request in another channel. Please answer there."),
        "send": _("Send"),
        "open_again": _("Send and reopen"),
        "on_its_way": _("Sending…"),
        "empty": _("Nothing has been written here yet."),
        "thanks": _("Thank you for your rating."),
        "choose": _("Choose 1 to 5 first."),
    }
