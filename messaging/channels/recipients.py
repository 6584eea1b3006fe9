"""Recipients checked and brought into one form, as their channel says."""

from django.utils.translation import gettext as _

from messaging.channels import standard  # noqa: F401 - declares our own channels
from messaging.channels.channel import CHANNELS
from posthaste.lib.control_characters import find_control


def normalise_recipient(channel: str, value: str) -> str:
    """Check a recipient of a channel and return it in its one stored form.

    Raises:
        ValueError: with a sentence for the caller.
    """
    if not isinstance(value, str):
        raise ValueError(_("The recipient must be a text."))
    try:
        declared = CHANNELS[channel]
    except KeyError:
        raise ValueError(_("There is no channel “%(channel)s”.") % {"channel": channel}) from None
    value = value.strip()
    if found := find_control(value):
        raise ValueError(_("A recipient must not contain the control character {character}.").format(character=found))
    return declared.normalise(value)


def list_key(recipient: str) -> str:
    """Return the form of a normalised recipient that lists store: addresses are compared without regard to case."""
    return recipient.lower() if "@" in recipient else recipient


def normalise_anywhere(value: str) -> str:
    """Check a recipient of no particular channel and return it in its stored form.

    Raises:
        ValueError: with a sentence for the caller.
    """
    value = value.strip()
    if value.startswith("+"):
        return normalise_recipient("sms", value)
    if value.startswith(("http://", "https://")):
        return normalise_recipient("webhook", value)
    if "@" in value and "." in value.rpartition("@")[2]:
        return normalise_recipient("email", value)
    if not 1 <= len(value) <= 2048 or not value.isprintable():
        raise ValueError(_("A recipient has 1 to 2,048 printable characters."))
    return value
