"""What values attributes may have, and which of several counts.

`level`, `tags` and `vip` steer priority and routing, so they have a shape of their own.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from posthaste.lib.control_characters import find_control
from routing.configuration.attribute_rules import ATTRIBUTE
from routing.models import AttributeSource, CustomerAttribute

LEVEL, TAGS, VIP = "level", "tags", "vip"
MAX_TEXT_CHARACTERS = 500
MAX_TAGS, MAX_TAG_CHARACTERS, MAX_LEVEL_CHARACTERS = 50, 64, 40
_NAME = re.compile(ATTRIBUTE)
MAX_WHOLE = 2**53
#: Whose word counts where sources differ, the strongest first.
PRECEDENCE = (AttributeSource.STAFF, AttributeSource.API, AttributeSource.WECOM, AttributeSource.PORTAL, AttributeSource.RULE)

Values = dict[str, Any]


def in_force(now: datetime) -> Q:
    """Return the condition for attributes that hold now."""
    return Q(valid_until=None) | Q(valid_until__gt=now)


def by_precedence(row: CustomerAttribute) -> tuple[str, int]:
    """Return what attributes are sorted by: the name, then the source that counts most."""
    return row.name, PRECEDENCE.index(AttributeSource(row.source))


def combined(rows: Iterable[CustomerAttribute]) -> Values:
    """Return what counts of the rows of one customer; tags of all sources are added up."""
    values: Values = {}
    for row in sorted(rows, key=by_precedence):
        if row.name == TAGS:
            values[TAGS] = list(dict.fromkeys([*values.get(TAGS, []), *row.value]))
        else:
            values.setdefault(row.name, row.value)
    return values


def fault(name: str, value: Any) -> str:
    """Say in a sentence what is wrong with an attribute; empty: nothing. The value None removes it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return _("The name must have lower-case letters, digits and underscores, 40 at most, and begin with a letter.")
    if value is None:
        return ""
    if name == VIP:
        return "" if isinstance(value, bool) else _("vip must be true or false.")
    if name == LEVEL:
        is_right = isinstance(value, str) and 0 < len(value.strip()) <= MAX_LEVEL_CHARACTERS and not find_control(value)
        return "" if is_right else _("level must be a text of 1 to {n} characters.").format(n=MAX_LEVEL_CHARACTERS)
    if name == TAGS:
        is_right = isinstance(value, list) and len(value) <= MAX_TAGS and all(_is_tag(tag) for tag in value)
        said = _("tags must be a list of at most {n} texts of 1 to {characters} characters.")
        return "" if is_right else said.format(n=MAX_TAGS, characters=MAX_TAG_CHARACTERS)
    if isinstance(value, bool):
        return ""
    if isinstance(value, int | float):
        return "" if abs(value) <= MAX_WHOLE else _("The number is too large.")
    if isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARACTERS and "\x00" not in value:
        return ""
    return _("The value must be a text of 1 to {n} characters, a number, true or false.").format(n=MAX_TEXT_CHARACTERS)


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, str) and 0 < len(tag.strip()) <= MAX_TAG_CHARACTERS and not find_control(tag)


def tidied(name: str, value: Any) -> Any:
    """Return a right value as it is stored: tags without doubles, and texts without blanks at their ends."""
    if name == TAGS:
        return list(dict.fromkeys(tag.strip() for tag in value))
    return value.strip() if name == LEVEL else value
