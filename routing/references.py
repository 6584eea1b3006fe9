"""What the configuration names and what does not exist: groups, intents, entrances, calendars, types of tickets, levels, languages.

A rule may be published before its group is made, so nothing is refused here: the console, the API and the overview tell.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.conf.locale import LANG_INFO
from django.db.models import Model
from django.utils.translation import gettext as _

from configcenter.hot import Doubt
from routing.configuration import ServiceLevels, assignment, bot, customers, service_levels
from routing.configuration.assignment_rules import Assignment, AssignmentRule
from routing.configuration.bot import Bot
from routing.models import Agent, BusinessCalendar, CustomerAttribute, Entrance, Intent, SkillGroup, TicketType

LISTED = 10
LEVEL = "level"
#: What the bot's defaults name need not exist: they are for the starting set, which not every tenant loads.
USUAL = frozenset(Bot().hand_over_intents)


@dataclass(frozen=True)
class Known:
    """The names that there are: in one tenant, or, with None, in any."""

    tenant_id: int | None

    def _names(self, model: type[Model]) -> frozenset[str]:
        rows = model._default_manager.order_by()
        own = rows if self.tenant_id is None else rows.filter(tenant_id=self.tenant_id)
        return frozenset(own.values_list("name", flat=True).distinct())

    @cached_property
    def groups(self) -> frozenset[str]:
        """Short names of skill groups."""
        return self._names(SkillGroup)

    @cached_property
    def intents(self) -> frozenset[str]:
        """Short names of intents."""
        return self._names(Intent)

    @cached_property
    def entrances(self) -> frozenset[str]:
        """Names of entrances."""
        return self._names(Entrance)

    @cached_property
    def calendars(self) -> frozenset[str]:
        """Short names of business calendars."""
        return self._names(BusinessCalendar)

    @cached_property
    def types(self) -> frozenset[str]:
        """Short names of types of tickets."""
        return self._names(TicketType)

    @cached_property
    def levels(self) -> frozenset[str]:
        """Levels that customers have, or that a rule derives."""
        rows = CustomerAttribute.objects.filter(name=LEVEL).order_by()
        if self.tenant_id is not None:
            rows = rows.filter(tenant_id=self.tenant_id)
        derived = (rule.to for value in customers.now.values(self.tenant_id) for rule in value.attribute_rules if rule.sets == LEVEL)
        return frozenset(map(str, rows.values_list("value", flat=True).distinct()[:1_000])) | frozenset(derived)

    @cached_property
    def languages(self) -> frozenset[str]:
        """The first parts of language codes: known ones, and what agents speak."""
        rows = Agent.objects.all() if self.tenant_id is None else Agent.objects.filter(tenant_id=self.tenant_id)
        spoken = {code for codes in rows.exclude(languages=[]).values_list("languages", flat=True) for code in codes}
        return frozenset(code.lower().partition("-")[0] for code in (*LANG_INFO, *spoken))


def _is_known(name: str, known: Collection[str]) -> bool:
    return name.lower() in map(str.lower, known)


def _missing(field: str, name: str, known: Collection[str], words: str) -> Iterator[Doubt]:
    """Doubt a name that is not among the known ones. `words` is the translated message with {name}."""
    if name and not _is_known(name, known):
        yield Doubt(field, f"{words.format(name=name)} {_listed(known)}")


def _listed(known: Collection[str]) -> str:
    if not known:
        return _("There are none yet.")
    names = ", ".join(sorted(known)[:LISTED])
    return _("There are: {names}.").format(names=f"{names} …" if len(known) > LISTED else names)


def _all_missing(path: str, names: Iterable[tuple[str, str]], known: Collection[str], words: str) -> Iterator[Doubt]:
    """Doubt each name of a list in turn, of which `path` is the field."""
    for field, name in names:
        yield from _missing(f"{path}{field}", name, known, words)


def _indexed(field: str, names: Iterable[str]) -> list[tuple[str, str]]:
    return [(f"{field}[{index}]", name) for index, name in enumerate(names)]


def is_dead(rule: AssignmentRule, known: Known) -> bool:
    """Return whether a rule never applies, as nothing exists of what one of its conditions asks for."""
    asked = ((rule.intents, known.intents), (rule.entrances, known.entrances))
    return any(names and not any(_is_known(name, there) for name in names) for names, there in asked)


def _of_assignment(value: Assignment, tenant_id: int | None) -> Iterator[Doubt]:
    known = Known(tenant_id)
    no_group, no_intent = _("There is no skill group “{name}”."), _("There is no intent “{name}”.")
    for index, rule in enumerate(value.rules):
        if not rule.is_enabled:
            continue
        path = f"rules[{index}]."
        if is_dead(rule, known):
            yield Doubt(f"{path}name", _("The rule “{name}” never applies: nothing exists that it is for.").format(name=rule.name))
        yield from _missing(f"{path}skill_group", rule.skill_group, known.groups, no_group)
        yield from _all_missing(path, _indexed("intents", rule.intents), known.intents, no_intent)
        yield from _all_missing(path, _indexed("entrances", rule.entrances), known.entrances, _("There is no entrance “{name}”."))
        if rule.levels:  # else they need not be counted
            yield from _all_missing(path, _indexed("levels", rule.levels), known.levels, _("No customer has the level “{name}”."))
        yield from _unknown_languages(path, rule.languages, known)
    for index, route in enumerate(value.routes):
        yield from _missing(f"routes[{index}].intent", route.intent, known.intents, no_intent)
        yield from _missing(f"routes[{index}].skill_group", route.skill_group, known.groups, no_group)
    if value.fallback_group != Assignment().fallback_group:  # without groups, any agent takes what falls back
        yield from _missing("fallback_group", value.fallback_group, known.groups, no_group)


def _unknown_languages(path: str, codes: Iterable[str], known: Known) -> Iterator[Doubt]:
    for index, code in enumerate(codes):
        if code.lower().partition("-")[0] not in known.languages:
            yield Doubt(f"{path}languages[{index}]", _("“{name}” is no known language, and no agent speaks it.").format(name=code))


def _of_service_levels(value: ServiceLevels, tenant_id: int | None) -> Iterator[Doubt]:
    known = Known(tenant_id)
    for index, target in enumerate(value.targets):
        path = f"targets[{index}]."
        yield from _missing(f"{path}calendar", target.calendar, known.calendars, _("There is no business calendar “{name}”."))
        yield from _missing(f"{path}type", target.type, known.types, _("There is no type of ticket “{name}”."))
        if target.level:
            yield from _missing(f"{path}level", target.level, known.levels, _("No customer has the level “{name}”."))


def _of_bot(value: Bot, tenant_id: int | None) -> Iterator[Doubt]:
    known = Known(tenant_id)
    no_intent = _("There is no intent “{name}”.")
    yield from _all_missing("", _indexed("entrances", value.entrances), known.entrances, _("There is no entrance “{name}”."))
    yield from _unknown_languages("", value.languages, known)
    for field, name in _indexed("hand_over_intents", value.hand_over_intents):
        if name not in USUAL:
            yield from _missing(field, name, known.intents, no_intent)
    for index, detail in enumerate(value.details):
        yield from _missing(f"details[{index}].intent", detail.intent, known.intents, no_intent)


assignment.doubts = _of_assignment
service_levels.doubts = _of_service_levels
bot.doubts = _of_bot


def uses_of_intent(name: str, tenant_id: int) -> list[str]:
    """Say what of the configuration in force names an intent of a tenant, and which rules never apply without it."""
    rules, answers = assignment.of(tenant_id), bot.of(tenant_id)
    dead, named = _("The rule “{rule}” never applies any more."), _("The rule “{rule}” names it.")
    said = [
        (dead if len(rule.intents) == 1 else named).format(rule=rule.name)
        for rule in rules.rules
        if rule.is_enabled and _is_known(name, rule.intents)
    ]
    said += [_("It has a skill group of its own: {group}.").format(group=each.skill_group) for each in rules.routes if each.intent == name]
    said += [_("The bot asks for details: {name}.").format(name=each.name) for each in answers.details if each.intent == name]
    if name in answers.hand_over_intents:
        said.append(_("The bot hands it over to an agent."))
    return said


def dead_rules(tenant_ids: Iterable[int]) -> set[str]:
    """Return the names of rules that never apply in a tenant, as nothing exists that they are for; of tenants that have intents."""
    found: set[str] = set()
    for tenant_id in tenant_ids:
        known, rules = Known(tenant_id), assignment.of(tenant_id).rules
        if any(rule.intents or rule.entrances for rule in rules) and known.intents:
            found |= {rule.name for rule in rules if rule.is_enabled and is_dead(rule, known)}
    return found
