"""Targets: how soon what is answered and resolved, by priority, customer level and type."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.db.models import TextChoices
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Shape, setting

#: The lowest number of a conversation's priority, 0 to 10, for each of the four names.
NAMES = ((9, "urgent"), (7, "high"), (4, "normal"), (0, "low"))


class AppliesTo(TextChoices):
    """What a target is for."""

    BOTH = "both", gettext_lazy("Conversations and tickets")
    CONVERSATIONS = "conversations", gettext_lazy("Conversations only")
    TICKETS = "tickets", gettext_lazy("Tickets only")


class Target(Shape):
    """Times for one priority, perhaps only for a customer level or a type of ticket. The most specific one counts."""

    priority: str = setting(
        "normal",
        _("Priority"),
        _("low, normal, high or urgent. Of conversations, 0 to 3 is low, 4 to 6 normal, 7 and 8 high, 9 and 10 urgent."),
        pattern="^(low|normal|high|urgent)$",
    )
    level: str = setting("", _("Customer level"), _("Such as gold. Empty: all."), max_length=50)
    type: str = setting("", _("Type of ticket"), _("Its short name, such as refund. Empty: all. Conversations have none."), max_length=80)
    applies_to: AppliesTo = setting(AppliesTo.BOTH, _("Applies to"), "")
    calendar: str = setting("", _("Calendar"), _("Short name of a business calendar. Empty: the default one."), max_length=40)
    first_response_minutes: int = setting(60, _("First response"), "", unit="min", ge=1, le=43_200)
    next_response_minutes: int = setting(240, _("Next response"), "", unit="min", ge=1, le=43_200)
    resolution_minutes: int = setting(1440, _("Resolution"), "", unit="min", ge=1, le=525_600)

    @model_validator(mode="after")
    def _times_fit(self) -> Self:
        if self.first_response_minutes > self.resolution_minutes:
            raise hot.Wrong("first_response_minutes", _("Must not exceed the resolution time."))
        if self.type and self.applies_to == AppliesTo.CONVERSATIONS:
            raise hot.Wrong("type", _("Conversations have no type. Leave it empty."))
        return self

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        told = [str(values[name]) for name in ("priority", "level", "type") if values.get(name)]
        return gettext("{conditions} → {minutes} min").format(
            conditions=" · ".join(told) or gettext("All"), minutes=values.get("first_response_minutes") or "–"
        )

    def conditions(self) -> str:
        """Name all that it is for, the same for two targets that are for the same."""
        return " · ".join(filter(None, (self.priority, self.level.casefold(), self.type, self.applies_to.value)))


def priority_name(priority: int) -> str:
    """Return the name of a conversation's priority: 0 to 3 low, 4 to 6 normal, 7 and 8 high, 9 and 10 urgent."""
    return next((name for least, name in NAMES if priority >= least), "low")


def target_for(targets: Iterable[Target], *, priority: str, level: str = "", type: str = "", is_ticket: bool) -> Target | None:
    """Return the most specific target that fits; None: nothing is promised.

    One with a type counts more than one with a level, and that more than one for tickets or conversations only.
    """
    own = AppliesTo.TICKETS if is_ticket else AppliesTo.CONVERSATIONS
    fitting = (
        each
        for each in targets
        if each.priority == priority
        and each.applies_to in (AppliesTo.BOTH, own)
        and each.type in ("", type)
        and each.level.casefold() in ("", level.casefold())
    )
    return max(fitting, key=lambda each: (bool(each.type), bool(each.level), each.applies_to == own), default=None)
