"""The registry of looks: the colour and the icon of each state, declared by the app whose states they are.

An app registers its enumerations in its `labels.py`, which is found automatically. The words are those of Django's
`TextChoices`; here only colour and icon are added, so that a state looks the same in lists, pages, charts and filters. Two
enumerations may share a name: a badge always says of which one it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices
from django.utils.functional import Promise


@dataclass(frozen=True, slots=True)
class Look:
    """How a state looks: a tone of `tokens.css`, a symbol of `icons.svg`, and a short word where its label is a sentence."""

    tone: str
    icon: str
    label: str | Promise = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A state as a page shows it."""

    tone: str
    icon: str
    label: str


_looks: dict[type[TextChoices], dict[str, Look]] = {}
_by_name: dict[str, type[TextChoices]] = {}


def register(name: str, states: type[TextChoices], looks: Mapping[Any, Look]) -> None:
    """Declare the looks of an enumeration, in the order of charts; templates call it by `name`.

    Raises:
        ValueError: the name is taken, or a state has no look.
    """
    if name in _by_name and _by_name[name] is not states:
        raise ValueError(f"There are badges named {name} already.")
    if missing := [member for member in states if member not in looks]:
        raise ValueError(f"{states.__name__} has states without a look: {', '.join(missing)}")
    _by_name[name] = states
    _looks[states] = {member.value: look for member, look in looks.items()}


def states_of(name: str) -> type[TextChoices]:
    """Return the enumeration that was registered under a name.

    Raises:
        LookupError: there is none.
    """
    try:
        return _by_name[name]
    except KeyError:
        raise LookupError(f"There are no badges named {name!r}. Known: {', '.join(sorted(_by_name))}.") from None


def in_order(name: str) -> list[str]:
    """Return the states of an enumeration in the order of charts."""
    return list(_looks[states_of(name)])


def shown(state: str, of: str = "") -> Shown:
    """Return how a state looks: a member of a registered enumeration, or a text and the name of its enumeration.

    A state that is not known, such as one that another version of the code wrote, is shown by its code, in no colour.

    Raises:
        LookupError: the enumeration is not registered.
    """
    states = states_of(of) if of else type(state)
    if states not in _looks or not issubclass(states, TextChoices):
        raise LookupError(f"{state!r} is no state of a registered enumeration: name the one that it belongs to.")
    code = str(state)
    look = _looks[states].get(code)
    if look is None:
        return Shown("pending", "pending", code)
    return Shown(look.tone, look.icon, str(look.label or states(code).label))


def registered() -> Mapping[str, type[TextChoices]]:
    """Return all registered enumerations by name."""
    return _by_name
