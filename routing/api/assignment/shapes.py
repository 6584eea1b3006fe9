"""What the API takes and shows of skill groups, agents, the queue and assignments."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.dates import within_range
from routing.assignment import presence
from routing.assignment.attendance import Sign
from routing.assignment.explain import why
from routing.models import Agent, Assignment, Conversation, Presence, SkillGroup

MAX_SKILLS = 100
SLUG = r"^[-a-zA-Z0-9_]+\Z"


class GroupOut(serializers.ModelSerializer[SkillGroup]):
    """A skill group."""

    overflow_to = serializers.SerializerMethodField(help_text="Short name. Null: the fallback group.")

    class Meta:
        model = SkillGroup
        fields = ["id", "name", "title", "overflow_to", "created_at"]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_overflow_to(self, group: SkillGroup) -> str | None:
        return group.overflow_to.name if group.overflow_to else None


class GroupIn(Body):
    """What makes a skill group."""

    name = serializers.RegexField(SLUG, max_length=80, help_text="Short name, by which rules and skills name the group.")
    title = serializers.CharField(max_length=100)
    overflow_to = serializers.RegexField(
        SLUG, max_length=80, required=False, allow_null=True, help_text="Short name of the group that takes over. Null: the fallback group."
    )


class SkillShape(Body):
    """How good an agent is at what a group answers."""

    group = serializers.RegexField(SLUG, max_length=80, help_text="Short name of the group.")
    level = serializers.IntegerField(min_value=1, max_value=5, default=3, help_text="1 (learning) to 5 (expert).")


class SkillOut(serializers.Serializer[Any]):
    """A skill of an agent."""

    group = serializers.CharField()
    level = serializers.IntegerField()


class AgentOut(serializers.ModelSerializer[Agent]):
    """An agent; `presence` is what they do now, not only what they chose."""

    user = serializers.CharField(source="user.username")
    languages = serializers.ListField(child=serializers.CharField(), help_text="Empty: all.")
    skills = serializers.SerializerMethodField()
    presence = serializers.SerializerMethodField()

    class Meta:
        model = Agent
        fields = [
            "id", "user", "name", "capacity", "weight", "languages", "is_active", "skills", "presence", "break_until", "seen_at", "load",
            "last_assigned_at", "created_at",
        ]  # fmt: skip

    @extend_schema_field(SkillOut(many=True))
    def get_skills(self, agent: Agent) -> list[dict[str, Any]]:
        return sorted(
            ({"group": skill.group.name, "level": skill.level} for skill in agent.skills.all()), key=lambda each: str(each["group"])
        )

    @extend_schema_field(serializers.ChoiceField(choices=Presence.choices))
    def get_presence(self, agent: Agent) -> str:
        return presence.state(agent, now=self.context["now"])


class AgentIn(Body):
    """What makes an agent."""

    user = serializers.CharField(max_length=150, help_text="User name of a member of your tenant. It can't be changed later.")
    name = serializers.CharField(max_length=100, help_text="As customers see it.")
    capacity = serializers.IntegerField(
        min_value=1, max_value=100, required=False, allow_null=True, help_text="Concurrent conversations. Null: as configured."
    )
    weight = serializers.IntegerField(min_value=1, max_value=10, default=1)
    languages = BoundedList(
        child=serializers.CharField(max_length=16), max_length=20, default=list, help_text="Codes such as en or zh. Empty: all."
    )
    is_active = serializers.BooleanField(default=True)
    skills = BoundedList(child=SkillShape(), max_length=MAX_SKILLS, default=list, help_text="Replaces all there were.")


class PresenceIn(Body):
    """What an agent does from now on, or a sign that they are still there."""

    presence = serializers.ChoiceField(
        choices=Presence.choices, required=False, help_text="Left out: only a sign that the agent is still there."
    )
    break_until = serializers.DateTimeField(
        required=False, allow_null=True, validators=[within_range], help_text="A break ends by itself then. Left out: when you say so."
    )
    sign = serializers.ChoiceField(
        choices=[each.value for each in Sign],
        default=Sign.API.value,
        help_text="What shows that the agent is there; a phone counts for longer than a desk.",
    )


class PresenceOut(serializers.Serializer[Any]):
    """What an agent does now."""

    presence = serializers.ChoiceField(choices=Presence.choices)
    present_until = serializers.DateTimeField(allow_null=True, help_text="Send another sign before, or the agent counts as offline.")
    break_until = serializers.DateTimeField(allow_null=True)


class QueueOut(serializers.Serializer[Any]):
    """The queue of one group."""

    group = serializers.CharField(allow_null=True, help_text="Short name. Null: conversations that any agent may take.")
    title = serializers.CharField()
    waiting = serializers.IntegerField()
    oldest_queued_at = serializers.DateTimeField(allow_null=True)
    expected_wait_seconds = serializers.IntegerField(
        allow_null=True, help_text="Of the last in the queue, at the rate of the last half hour. Null: not known."
    )
    agents_online = serializers.IntegerField()
    agents_free = serializers.IntegerField(help_text="Online, and with room for another conversation.")
    free_places = serializers.IntegerField()


class QueuesOut(serializers.Serializer[Any]):
    """The queues of all groups."""

    results = QueueOut(many=True)


class ClaimIn(Body):
    """Who claims a conversation."""

    agent = serializers.CharField(max_length=150, help_text="Id or user name of the agent.")


class TransferIn(Body):
    """Where a conversation goes: to an agent or to a group."""

    agent = serializers.CharField(max_length=150, required=False, help_text="Id or user name. Either this or group.")
    group = serializers.RegexField(SLUG, max_length=80, required=False, help_text="Short name.")
    expected_owner = serializers.UUIDField(
        required=False, help_text="The agent who has it, as you know it. If another has it by now, nothing changes and you get 409."
    )


class HeldOut(serializers.ModelSerializer[Conversation]):
    """Who has a conversation now."""

    agent_id = serializers.UUIDField(allow_null=True)
    agent = serializers.CharField(source="agent.name", allow_null=True, default=None)
    group = serializers.CharField(source="group.name", allow_null=True, default=None)

    class Meta:
        model = Conversation
        fields = ["id", "status", "agent_id", "agent", "group", "queued_at", "assigned_at"]


class AssignmentOut(serializers.ModelSerializer[Assignment]):
    """A span in which one agent held a conversation, and why."""

    agent = serializers.CharField(source="agent.name")
    why = serializers.SerializerMethodField(help_text="In words, in the language of `Accept-Language`.")
    reason = serializers.JSONField(help_text="The facts and figures behind it.")

    class Meta:
        model = Assignment
        fields = [
            "id",
            "agent_id",
            "agent",
            "cause",
            "why",
            "reason",
            "config_version",
            "assigned_by",
            "started_at",
            "ended_at",
            "end_cause",
        ]

    def get_why(self, span: Assignment) -> str:
        return why(span)
