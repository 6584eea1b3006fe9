"""Which group answers a conversation, and which of its agents."""

import re
from collections.abc import Mapping
from typing import Any, Self

from django.db.models import TextChoices
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_noop as _
from pydantic import model_validator

from configcenter import hot
from configcenter.hot import Module, Shape, setting

#: A language as browsers name it: en, zh, pt-br, zh-hans.
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
WRONG_LANGUAGE = _("Must be a language code such as en, zh or pt-br.")


class Choice(TextChoices):
    """Who gets the next conversation among those who could."""

    LEAST_LOADED = "least_loaded", gettext_lazy("Least loaded")
    ROUND_ROBIN = "round_robin", gettext_lazy("In turn")
    LONGEST_IDLE = "longest_idle", gettext_lazy("Longest idle")
    WEIGHTED = "weighted", gettext_lazy("By weight")
    SKILL_FIRST = "skill_first", gettext_lazy("Best skill first")


class RuleChoice(TextChoices):
    """Who gets the conversations of one rule; `module`: as for all."""

    MODULE = "module", gettext_lazy("As for all")
    vars().update({each.name: (each.value, each.label) for each in Choice})


class Vip(TextChoices):
    """Which customers a rule is for."""

    ANY = "any", gettext_lazy("All")
    VIP = "vip", gettext_lazy("VIPs only")
    OTHERS = "others", gettext_lazy("All but VIPs")


class When(TextChoices):
    """When a rule applies."""

    ANY = "any", gettext_lazy("Always")
    OPEN = "open", gettext_lazy("During business hours")
    CLOSED = "closed", gettext_lazy("Outside business hours")


class AssignmentRule(Shape):
    """Conversations that meet all its conditions go to its group. The first rule that fits decides."""

    name: str = setting("", _("Name"), "", max_length=80)
    is_enabled: bool = setting(True, _("Enabled"), "")
    intents: list[str] = setting(list, _("Intents"), _("One per line. Empty: all."), widget="lines", is_unordered=True, max_length=100)
    languages: list[str] = setting(
        list, _("Languages"), _("Codes such as en or zh, one per line. Empty: all."), widget="lines", is_unordered=True, max_length=50
    )
    levels: list[str] = setting(
        list, _("Customer levels"), _("Such as gold, one per line. Empty: all."), widget="lines", is_unordered=True, max_length=50
    )
    vip: Vip = setting(Vip.ANY, _("VIP"), "")
    entrances: list[str] = setting(
        list, _("Entrances"), _("Names of entrances, one per line. Empty: all."), widget="lines", is_unordered=True, max_length=100
    )
    hours: When = setting(When.ANY, _("Business hours"), _("By the default business calendar."))
    skill_group: str = setting("", _("Skill group"), _("Short name of the group."), max_length=80)
    priority: int = setting(5, _("Priority"), _("Higher ones are assigned first."), ge=0, le=10)
    choice: RuleChoice = setting(RuleChoice.MODULE, _("Choice"), _("Among agents with the skill and free capacity."))

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        hot.filled(self, "name", "skill_group")
        hot.each("languages", self.languages, LANGUAGE.fullmatch, WRONG_LANGUAGE)
        for field in ("intents", "levels", "entrances"):
            hot.each(field, getattr(self, field), str.strip, _("Must not be empty."))
        return self

    @classmethod
    def in_brief(cls, values: Mapping[str, Any]) -> str:
        conditions = [
            ", ".join(map(str, found))
            for name in ("intents", "languages", "levels", "entrances")
            if isinstance(found := values.get(name), list) and found
        ]
        return gettext("{conditions} → {group}").format(
            conditions=" · ".join(conditions) or gettext("All"), group=values.get("skill_group") or "–"
        )

    def covers(self, other: "AssignmentRule") -> bool:
        """Return whether all that the other rule is for is this one's already."""
        return (
            all(_holds_all(getattr(self, name), getattr(other, name)) for name in ("intents", "languages", "levels", "entrances"))
            and self.vip in (Vip.ANY, other.vip)
            and self.hours in (When.ANY, other.hours)
        )


def _holds_all(wide: list[str], narrow: list[str]) -> bool:
    return not wide or (bool(narrow) and {each.lower() for each in narrow} <= {each.lower() for each in wide})


class IntentRoute(Shape):
    """An intent and the group that answers it."""

    intent: str = setting("", _("Intent"), "", max_length=80)
    skill_group: str = setting("", _("Skill group"), "", max_length=80)
    priority: int = setting(5, _("Priority"), "", ge=0, le=10)

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        hot.filled(self, "intent", "skill_group")
        return self


class Assignment(Module):
    """From a text to an agent."""

    is_automatic: bool = setting(True, _("Assign automatically"), _("Off: conversations wait until an agent takes them."))
    min_confidence_percent: int = setting(
        60, _("Minimum confidence"), _("Texts below this go to the fallback group."), unit="%", ge=0, le=100
    )
    rules: list[AssignmentRule] = setting(list, _("Rules"), _("The first one that fits decides."), max_length=200)
    routes: list[IntentRoute] = setting(
        list, _("Intents"), _("Which group answers which intent, where no rule fits."), is_unordered=True, max_length=500
    )
    fallback_group: str = setting("general", _("Fallback group"), _("Used when nothing else matches."), max_length=80)
    choice: Choice = setting(Choice.LEAST_LOADED, _("Choice"), _("Among agents with the skill and free capacity."))
    default_capacity: int = setting(5, _("Capacity"), _("Concurrent conversations per agent, unless set otherwise."), ge=1, le=100)
    same_agent_hours: float = setting(
        24.0, _("Same agent within"), _("A returning customer gets the same agent. 0: not considered."), unit="h", ge=0, le=720
    )
    vip_priority: int = setting(9, _("Priority of VIPs"), _("VIPs have at least this priority. 0: no difference."), ge=0, le=10)
    priority_minutes: int = setting(
        10, _("Weight of priority"), _("Each step of priority counts as so much more waiting time."), unit="min", ge=0, le=1440
    )
    offer_seconds: int = setting(
        60,
        _("Offered for"),
        _("If the agent does not respond in time, another free one gets it. 0: it stays."),
        unit="s",
        ge=0,
        le=3600,
    )
    silence_minutes: int = setting(
        15,
        _("Silent after"),
        _("If the customer has waited this long for another answer, another free agent gets the conversation. 0: it stays."),
        unit="min",
        ge=0,
        le=1440,
    )
    overflow_minutes: int = setting(
        10, _("Overflow after"), _("Conversations that wait longer may go to the fallback group."), unit="min", ge=1, le=1440
    )
    presence_grace_seconds: int = setting(
        45, _("Online without a sign"), _("How long agents count as online after their desk was last seen."), unit="s", ge=5, le=3600
    )
    phone_grace_seconds: int = setting(
        900, _("Online by phone"), _("The same for phones, which are seen less often."), unit="s", ge=5, le=86_400
    )
    first_responder_takes: bool = setting(
        True, _("First responder takes it"), _("Agents who answer first get the conversation, even if it was offered to another.")
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        hot.filled(self, "fallback_group")
        hot.no_two("routes", (route.intent for route in self.routes), _("The intent {name} is listed twice."))
        hot.no_two("rules", (rule.name for rule in self.rules), _("There are two rules named {name}."))
        for index, rule in enumerate(self.rules):
            before = next((each for each in self.rules[:index] if each.is_enabled and each.covers(rule)), None)
            if rule.is_enabled and before is not None:
                raise hot.Wrong(f"rules[{index}].name", _("Never applies: the rule {name} above takes all of it."), name=before.name)
        if self.phone_grace_seconds < self.presence_grace_seconds:
            raise hot.Wrong("phone_grace_seconds", _("Must be at least as long as for desks."))
        return self
