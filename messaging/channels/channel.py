"""What a channel is: what a caller names when he sends, and how its recipients are written.

    declare(Channel(code="pager", label=_("Pager"), normalise=pager_number))

Our own are declared in `standard.py`; an app may declare more in its package or module `channels`, which `registry` finds.
Columns of the database hold the code as text, so a new channel needs no migration.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise

from posthaste.lib import masking

#: As long as the columns that hold it.
CODE = re.compile(r"[a-z][a-z0-9_]{0,9}")

SMS = "sms"
EMAIL = "email"
PUSH = "push"
WECOM = "wecom"
WEBHOOK = "webhook"
CHAT = "chat"


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """A way to reach a person. `code` is what callers write and what is stored: 1 to 10 lower-case letters, digits and _.

    `normalise` checks a recipient and returns it in its one stored form, or raises ValueError with a sentence for the caller.
    `mask` makes a stored recipient fit for lists and logs. `refusal` is set where callers can't choose the channel, as the platform itself
    writes its messages: a sentence that says what to do instead.
    """

    code: str
    label: str | Promise
    normalise: Callable[[str], str]
    mask: Callable[[str], str] = masking.mask_middle
    refusal: str | Promise = ""


#: The channels that there are, by code, in the order in which they are shown.
CHANNELS: dict[str, Channel] = {}


def declare(channel: Channel) -> Channel:
    """Add a channel and return it.

    Raises:
        ValueError: its code is not well formed, or taken.
    """
    if not CODE.fullmatch(channel.code):
        raise ValueError(f"The channel {channel.code!r} needs a code of 1 to 10 lower-case letters, digits and _.")
    if channel.code in CHANNELS:
        raise ValueError(f"The channel {channel.code} is declared twice.")
    CHANNELS[channel.code] = channel
    masking.MASKS[channel.code] = channel.mask
    return channel


def channel_choices() -> list[tuple[str, str | Promise]]:
    """Return the channels for a field of a form or a model."""
    return [(channel.code, channel.label) for channel in CHANNELS.values()]


def open_choices() -> list[tuple[str, str | Promise]]:
    """Return the channels that callers can choose for a message or a template."""
    return [(channel.code, channel.label) for channel in CHANNELS.values() if not channel.refusal]


def refusal_of(code: str) -> str:
    """Return why callers can't choose a channel; empty where they can, or where there is no such channel."""
    return str(CHANNELS[code].refusal) if code in CHANNELS else ""


def label_of(code: str) -> str:
    """Return what a channel is called; the code itself where the channel is not installed any more."""
    return str(CHANNELS[code].label) if code in CHANNELS else code
