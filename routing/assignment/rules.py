"""Which group a conversation goes to: the rules applied to what is known of it. No database, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from routing.configuration.assignment_rules import Assignment, AssignmentRule, RuleChoice, Vip, When


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at."""

    intent: str = ""
    confidence: float | None = None
    language: str = ""
    level: str = ""
    is_vip: bool = False
    entrance: str = ""
    is_open: bool = True
    #: The group that an entrance or a contact way asks for, by its short name; empty: none.
    wanted_group: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a conversation goes, and why. `basis`: "rule", "intent", "wanted" or "fallback"."""

    group: str  # "": there is no such group, any agent may take it
    priority: int
    choice: str
    basis: str
    rule: str = ""
    #: A group that was named and does not exist.
    missing: str = ""
    #: The intent was not sure enough to count.
    is_unsure: bool = False
    is_vip: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return what is kept with the conversation: only what says something."""
        said = {name: getattr(self, name) for name in ("group", "choice", "basis", "rule", "missing", "is_unsure", "is_vip")}
        return {name: value for name, value in said.items() if value} | {name: value for name, value in self.facts.items() if value}


def speaks(language: str, languages: Iterable[str]) -> bool:
    """Return whether one of the languages is the asked one: `zh` is also `zh-hans`, and the other way round."""
    asked = language.lower()
    return any(asked == each or asked.startswith(f"{each}-") or each.startswith(f"{asked}-") for each in map(str.lower, languages))


def decide(settings: Assignment, facts: Facts, *, groups: Iterable[str]) -> Decision:
    """Return where a conversation goes. `groups` are the short names of the tenant's groups.

    The first enabled rule that fits decides, then the list of intents, then the fallback group. A group that does not exist is passed
    over for the fallback group, and the decision names it.
    """
    known = frozenset(groups)
    is_unsure = bool(facts.intent) and facts.confidence is not None and facts.confidence * 100 < settings.min_confidence_percent
    intent = "" if is_unsure else facts.intent
    rule = next((rule for rule in settings.rules if rule.is_enabled and _fits(rule, facts, intent)), None)
    choice: str = settings.choice
    if facts.wanted_group in known and facts.wanted_group:
        group, priority, basis, name = facts.wanted_group, rule.priority if rule else 5, "wanted", ""
    elif rule is not None:
        group, priority, basis, name = rule.skill_group, rule.priority, "rule", rule.name
    elif (route := next((route for route in settings.routes if intent and route.intent.lower() == intent.lower()), None)) is not None:
        group, priority, basis, name = route.skill_group, route.priority, "intent", ""
    else:
        group, priority, basis, name = settings.fallback_group, 5, "fallback", ""
    if rule is not None and basis == "rule" and rule.choice != RuleChoice.MODULE:
        choice = rule.choice
    missing = "" if group in known else group
    if missing:
        group = settings.fallback_group if settings.fallback_group in known else ""
    if facts.is_vip:
        priority = max(priority, settings.vip_priority)
    return Decision(
        group=group,
        priority=priority,
        choice=str(choice),
        basis=basis,
        rule=name,
        missing=missing or ("" if facts.wanted_group in known else facts.wanted_group),
        is_unsure=is_unsure,
        is_vip=facts.is_vip,
        facts={"intent": facts.intent, "language": facts.language, "level": facts.level, "entrance": facts.entrance},
    )


def _fits(rule: AssignmentRule, facts: Facts, intent: str) -> bool:
    return (
        _is_among(intent, rule.intents)
        and (not rule.languages or (bool(facts.language) and speaks(facts.language, rule.languages)))
        and _is_among(facts.level, rule.levels)
        and _is_among(facts.entrance, rule.entrances)
        and rule.vip in (Vip.ANY, Vip.VIP if facts.is_vip else Vip.OTHERS)
        and rule.hours in (When.ANY, When.OPEN if facts.is_open else When.CLOSED)
    )


def _is_among(value: str, values: list[str]) -> bool:
    return not values or (bool(value) and value.lower() in map(str.lower, values))
