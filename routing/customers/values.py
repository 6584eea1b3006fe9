"""The one stored form of each kind of identity, and how it is shown in lists."""

from django.utils.translation import gettext as _

from messaging.channels.channel import EMAIL, SMS
from messaging.channels.recipients import list_key, normalise_recipient, written_forms
from posthaste.lib.control_characters import find_control
from posthaste.lib.masking import mask_email, mask_middle, mask_phone
from routing.models import Identity, IdentityKind

MAX_VALUE_CHARACTERS = 320
#: Kinds whose values are recipients of a channel, and therefore have its form.
CHANNEL_OF = {IdentityKind.PHONE: SMS, IdentityKind.EMAIL: EMAIL}
MASKS = {IdentityKind.PHONE: mask_phone, IdentityKind.EMAIL: mask_email}
#: Hold the parts of an emoji together, and letters of some scripts apart; all other characters without a shape go.
JOINERS = "\u200c\u200d"
#: What stands in place of a value that was erased; `normalise` takes no value of this form.
ERASED = "erased:"


def normalise(kind: str, value: str) -> str:
    """Check an identity's value and return it in its stored form: E.164, an address in lower case, an ID as it is.

    Raises:
        ValueError: with a sentence for the caller.
    """
    channel = CHANNEL_OF.get(IdentityKind(kind))
    if channel:
        found = list_key(normalise_recipient(channel, value))
    else:
        found = value.strip()
        if control := find_control(found):
            raise ValueError(_("The value must not contain the control character {character}.").format(character=control))
    if found.startswith(ERASED):
        raise ValueError(_("The value must not begin with {text}.").format(text=ERASED))
    if not 1 <= len(found) <= MAX_VALUE_CHARACTERS:
        raise ValueError(_("The value must have 1 to {n} characters.").format(n=MAX_VALUE_CHARACTERS))
    return found


def as_stored(kind: str, value: str) -> str:
    """Return the stored form of what a sender is known by; a value without a right form is kept as it came, so that no text is lost."""
    try:
        return normalise(kind, value)
    except ValueError:
        return "".join(part for part in value.strip().lower().removeprefix(ERASED) if part.isprintable())[:MAX_VALUE_CHARACTERS] or "?"


def has_form(kind: str, value: str) -> bool:
    """Return whether a value is one that an identity of its kind can have."""
    try:
        normalise(kind, value)
    except ValueError:
        return False
    return True


def shown_name(text: str, *, max_length: int = 200) -> str:
    """Return what a stranger calls themselves as it is stored: in one line, without controls and marks that turn the text around."""
    kept = "".join(part if part.isprintable() or part in JOINERS else " " for part in text)
    return " ".join(kept.split())[:max_length]


def search_forms(text: str) -> set[str]:
    """Return the forms in which a value may be stored that was typed into a search."""
    typed = text.strip()[:MAX_VALUE_CHARACTERS]
    return {typed, *(list_key(form) for form in written_forms(typed))}


def masked(kind: str, value: str) -> str:
    """Return a value fit for a list."""
    return "–" if value.startswith(ERASED) else MASKS.get(IdentityKind(kind), mask_middle)(value)


def recipients(identities: list[Identity]) -> list[str]:
    """Return the values under which messaging may know a customer, as its suppression list stores them."""
    return [identity.value for identity in identities if not identity.value.startswith(ERASED)]
