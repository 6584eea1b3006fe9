"""Why this agent: an assignment in one or two sentences, in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from routing.configuration.assignment_rules import Choice
from routing.models import Assignment, AssignmentCause


@dataclass(frozen=True, slots=True)
class Names:
    """What sentences call intents, groups and actors, by what is stored; what is missing here is shown as it is stored."""

    intents: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    actors: Mapping[str, str] = field(default_factory=dict)

    def intent(self, stored: Any) -> str:
        """Return an intent's name."""
        return self.intents.get(str(stored), str(stored))

    def group(self, stored: Any) -> str:
        """Return a group's name."""
        return self.groups.get(str(stored), str(stored))


AS_STORED = Names()


def why(span: Assignment, *, names: Names = AS_STORED) -> str:
    """Return why an agent got a conversation."""
    by = names.actors.get(span.assigned_by, span.assigned_by)
    reason = span.reason if isinstance(span.reason, dict) else {}
    match span.cause:
        case AssignmentCause.CLAIM:
            return _("Claimed by {who}.").format(who=by or _("an agent"))
        case AssignmentCause.TRANSFER:
            return _("Transferred by {who}.").format(who=by or _("an agent"))
        case AssignmentCause.RESPONSE:
            return _("Answered first.")
    if reason.get("why") == "repaired":
        return _("Found without a record of its assignment. It was added later.")
    parts = [why_group(reason, names=names), _why_agent(reason)]
    if reason.get("why") == "silence":
        parts.insert(0, _("The agent before did not answer in time."))
    return " ".join(part for part in parts if part)


def why_group(reason: dict[str, Any], *, names: Names = AS_STORED) -> str:
    """Return why a conversation is in its group, from its decision or the reason of an assignment."""
    group = names.group(reason.get("group") or "")
    match reason.get("basis"):
        case "rule":
            said = _("The rule {rule} leads to the group {group}.").format(rule=reason.get("rule", ""), group=group or "–")
        case "intent":
            said = _("The intent {intent} leads to the group {group}.").format(intent=names.intent(reason.get("intent", "")), group=group)
        case "wanted":
            said = _("The entrance leads to the group {group}.").format(group=group)
        case "transfer":
            said = _("It was transferred to the group {group}.").format(group=group)
        case _other:
            said = _("No rule fits, so the fallback group {group} answers.").format(group=group) if group else _("Any agent may answer.")
    more = []
    if missing := reason.get("missing"):
        more.append(_("There is no group {group}.").format(group=missing))
    if reason.get("is_unsure"):
        more.append(_("The intent {intent} was not sure enough to count.").format(intent=names.intent(reason.get("intent", ""))))
    if reason.get("is_vip"):
        more.append(_("The customer is a VIP."))
    if overflowed := reason.get("overflowed"):
        more.append(_("It waited too long in {groups}.").format(groups=", ".join(map(names.group, overflowed))))
    return " ".join([said, *more])


def _why_agent(reason: dict[str, Any]) -> str:
    if "fitting" not in reason:
        return ""
    figures = {"load": reason.get("load", 0), "capacity": reason.get("capacity", 0)}
    if reason.get("why") == "last_agent":
        return _("The agent knows the customer and had room ({load} of {capacity}).").format(**figures)
    number = int(reason["fitting"])
    if number == 1:
        return _("Only this agent fitted and had room ({load} of {capacity}).").format(**figures)
    choice = str(reason.get("choice", ""))
    named = str(Choice(choice).label) if choice in Choice.values else choice
    said = ngettext("Chosen from {n} agent: {choice}.", "Chosen from {n} agents: {choice}.", number).format(n=number, choice=named)
    level = reason.get("level")
    if level:
        return f"{said} " + _("Skill level {level}, load {load} of {capacity}.").format(level=level, **figures)
    return f"{said} " + _("Load {load} of {capacity}.").format(**figures)
