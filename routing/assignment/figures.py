"""What waits in each group, for how long, and who could take it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min

from routing.assignment.candidates import read_staff
from routing.assignment.queueing import expected_wait
from routing.configuration import assignment
from routing.models import Conversation, ConversationStatus, SkillGroup


@dataclass(frozen=True, slots=True)
class GroupQueue:
    """The queue of one group; `group` None: conversations without a group, which any agent may take."""

    group: str | None
    title: str
    waiting: int
    oldest_queued_at: datetime | None
    expected_wait_seconds: int | None
    agents_online: int
    agents_free: int
    free_places: int


def queues(tenant_id: int, *, now: datetime) -> list[GroupQueue]:
    """Return the queue of each of a tenant's groups, and of what has no group if anything has none."""
    rows = Conversation.objects.filter(tenant_id=tenant_id, status=ConversationStatus.QUEUED).order_by().values_list("group_id")
    waiting = {group_id: (number, oldest) for group_id, number, oldest in rows.annotate(n=Count("pk"), oldest=Min("queued_at"))}
    there = read_staff(tenant_id, assignment.of(tenant_id), now=now).candidates
    groups: list[tuple[UUID | None, str | None, str]] = [
        (pk, name, title)
        for pk, name, title in SkillGroup.objects.filter(tenant_id=tenant_id).order_by("title").values_list("pk", "name", "title")
    ]
    if None in waiting:
        groups.append((None, None, ""))
    found = []
    for group_id, name, title in groups:
        number, oldest = waiting.get(group_id, (0, None))
        members = [each for each in there if each.level_in(group_id)]
        found.append(
            GroupQueue(
                group=name,
                title=title,
                waiting=number,
                oldest_queued_at=oldest,
                expected_wait_seconds=expected_wait(tenant_id, group_id, place=number, now=now) if number else None,
                agents_online=len(members),
                agents_free=sum(each.has_room for each in members),
                free_places=sum(max(0, each.capacity - each.load) for each in members),
            )
        )
    return found
