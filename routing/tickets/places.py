"""Which group and which agent go together: an agent has tickets of their own groups."""

from uuid import UUID

from django.utils.translation import gettext as _

from posthaste.lib.problems import Invalid
from routing.models import Agent, AgentSkill, SkillGroup


def group_for(agent: Agent | None, *, kept: SkillGroup | None, had: UUID | None = None) -> SkillGroup | None:
    """Return the group of a ticket that an agent gets without a group: the one it has if the agent is in it, else their own first one.

    It stays what it is without an agent, with the one who had it (`had`), and with one who is in no group at all.
    """
    if agent is None or agent.pk == had:
        return kept
    skills = AgentSkill.objects.filter(agent=agent).select_related("group").order_by("group__title", "group__name")
    own = [skill.group for skill in skills]
    return kept if kept in own or not own else own[0]


def must_fit(agent: Agent | None, group: SkillGroup | None, *, field: str = "agent") -> None:
    """Check that an agent is in the group that is named with them.

    Raises:
        Invalid: naming the field.
    """
    if agent is None or group is None or AgentSkill.objects.filter(agent=agent, group=group).exists():
        return
    said = _("{agent} is not in the group {group}. Choose another one, or leave one of both out.")
    raise Invalid.field(field, said.format(agent=agent.name, group=group.title), "not_in_group")
