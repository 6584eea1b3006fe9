"""Create, change and delete skill groups and agents."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from accounts.tenancy import tenants_of
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from routing.actions import Action
from routing.assignment.attendance import move
from routing.configuration.assignment_rules import LANGUAGE
from routing.models import Agent, AgentSkill, Assignment, Conversation, ConversationStatus, SkillGroup

GROUP_FIELDS = ("name", "title", "overflow_to")
AGENT_FIELDS = ("name", "capacity", "weight", "languages", "is_active")
MAX_LANGUAGES = 20


# --- groups --------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_group(*, group: SkillGroup, by: Actor, now: datetime) -> SkillGroup:
    """Check and store a new skill group.

    Raises:
        Invalid: the name is taken, or it overflows to itself or to a group of another tenant.
    """
    check_group(group)
    group.created_at = now
    group.save(force_insert=True)
    _record(group, Action.GROUP_CREATE, by, group.name)
    return group


@transaction.atomic
def change_group(*, group: SkillGroup, fields: Iterable[str], by: Actor, now: datetime) -> SkillGroup:
    """Check and store a changed skill group; `fields` are of `GROUP_FIELDS`.

    Raises:
        Invalid: as for `create_group`.
        NotFound: it was deleted meanwhile.
    """
    changed = _known(fields, GROUP_FIELDS)
    lock(group)
    check_group(group)
    group.save(update_fields=changed)
    _record(group, Action.GROUP_CHANGE, by, group.name, fields=changed)
    transaction.on_commit(partial(move, tenant_id=group.tenant_id, now=now), robust=True)
    return group


@transaction.atomic
def delete_group(*, group: SkillGroup, by: Actor) -> None:
    """Delete a skill group that no conversation waits for. Rules that name it lead to the fallback group.

    Raises:
        Conflict: conversations wait for it.
        NotFound: it was deleted meanwhile.
    """
    lock(group)
    waiting = Conversation.objects.filter(group=group, status=ConversationStatus.QUEUED).count()
    if waiting:
        raise Conflict(_("{n} conversations wait for this group. Transfer them first.").format(n=waiting), waiting=waiting)
    _record(group, Action.GROUP_DELETE, by, group.name)
    group.delete()


def check_group(group: SkillGroup) -> None:
    """Check a group before it is stored.

    Raises:
        Invalid: the name is taken, or it overflows to itself or to a group of another tenant.
    """
    same = SkillGroup.objects.filter(tenant_id=group.tenant_id, name=group.name).exclude(pk=group.pk)
    if same.exists():
        raise Invalid.field("name", _("There is already a group with this name."), "unique")
    if group.overflow_to_id is None:
        return
    if group.overflow_to_id == group.pk:
        raise Invalid.field("overflow_to", _("A group can't overflow to itself."))
    if not SkillGroup.objects.filter(pk=group.overflow_to_id, tenant_id=group.tenant_id).exists():
        raise Invalid.field("overflow_to", _("There is no such group."), "does_not_exist")


# --- agents --------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_agent(*, agent: Agent, skills: Mapping[UUID, int] | None = None, by: Actor, now: datetime) -> Agent:
    """Check and store a new agent, with the level in each group by its id.

    Raises:
        Invalid: the user is not a member of the tenant or an agent already, a language or a group is wrong.
    """
    check_agent(agent)
    agent.created_at = now
    agent.save(force_insert=True)
    if skills:
        _store_skills(agent, skills)
    _record(agent, Action.AGENT_CREATE, by, agent.name, user=agent.user.get_username())
    return agent


@transaction.atomic
def change_agent(*, agent: Agent, fields: Iterable[str], skills: Mapping[UUID, int] | None = None, by: Actor, now: datetime) -> Agent:
    """Check and store a changed agent; `fields` are of `AGENT_FIELDS`. `skills` replace those there were; None: they stay.

    What an agent who is no longer active holds, and what one with more room or skills could take, moves once it is committed.

    Raises:
        Invalid: a language or a group is wrong.
        NotFound: the agent was deleted meanwhile.
    """
    changed = _known(fields, AGENT_FIELDS)
    lock(agent)
    check_agent(agent)
    if changed:
        agent.save(update_fields=changed)
    if skills is not None:
        _store_skills(agent, skills)
        changed = [*changed, "skills"]
    _record(agent, Action.AGENT_CHANGE, by, agent.name, fields=changed)
    transaction.on_commit(partial(move, tenant_id=agent.tenant_id, now=now), robust=True)
    return agent


@transaction.atomic
def delete_agent(*, agent: Agent, by: Actor) -> None:
    """Delete an agent who never had a conversation. Others can be made inactive, which keeps the record of what they did.

    Raises:
        Conflict: the agent has had conversations.
        NotFound: the agent was deleted meanwhile.
    """
    lock(agent)
    if Assignment.objects.filter(agent=agent).exists():
        raise Conflict(_("This agent has had conversations. Make the agent inactive instead."))
    _record(agent, Action.AGENT_DELETE, by, agent.name)
    agent.delete()


def check_agent(agent: Agent) -> None:
    """Check an agent before it is stored; the user only of a new one, as it can't be changed.

    Raises:
        Invalid: the user is not a member of the tenant or an agent already, a language or a figure is wrong.
    """
    if agent._state.adding:
        if agent.tenant_id not in tenants_of(agent.user):
            raise Invalid.field("user", _("The user must be a member of the tenant."))
        if Agent.objects.filter(tenant_id=agent.tenant_id, user_id=agent.user_id).exists():
            raise Invalid.field("user", _("This user is an agent already."), "unique")
    languages = agent.languages
    if not isinstance(languages, list) or len(languages) > MAX_LANGUAGES:
        raise Invalid.field("languages", _("A list of at most {n} language codes.").format(n=MAX_LANGUAGES))
    for index, language in enumerate(languages):
        if not isinstance(language, str) or not LANGUAGE.fullmatch(language):
            raise Invalid.field(f"languages[{index}]", _("Must be a language code such as en, zh or pt-br."))
    for field, most in (("capacity", 100), ("weight", 10)):
        value = getattr(agent, field)
        if value is not None and not 1 <= value <= most:
            raise Invalid.field(field, _("Between 1 and {n}.").format(n=most))
    if not agent.name.strip():
        raise Invalid.field("name", _("Must not be empty."), "blank")


def _store_skills(agent: Agent, skills: Mapping[UUID, int]) -> None:
    own = set(SkillGroup.objects.filter(tenant_id=agent.tenant_id, pk__in=skills).values_list("pk", flat=True))
    for index, (group_id, level) in enumerate(skills.items()):
        if group_id not in own:
            raise Invalid.field(f"skills[{index}].group", _("There is no such group."), "does_not_exist")
        if not 1 <= level <= 5:
            raise Invalid.field(f"skills[{index}].level", _("Between 1 and {n}.").format(n=5))
    AgentSkill.objects.filter(agent=agent).exclude(group_id__in=own).delete()
    rows = [AgentSkill(agent=agent, group_id=group_id, level=level) for group_id, level in skills.items()]
    AgentSkill.objects.bulk_create(rows, update_conflicts=True, unique_fields=["agent", "group"], update_fields=["level"])


def _known(fields: Iterable[str], editable: Iterable[str]) -> list[str]:
    changed = sorted(set(fields))
    if wrong := set(changed) - set(editable):
        raise ValueError(f"Not to be changed here: {', '.join(sorted(wrong))}")
    return changed


def _record(row: SkillGroup | Agent, action: Action, by: Actor, name: str, **detail: Any) -> None:
    audit.record(by=by, action=action, target=name, tenant_id=row.tenant_id, detail={"id": str(row.pk), **detail})
