"""Tags of conversations: words to find and to count them by."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.control_characters import find_control
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Invalid
from routing.actions import Action
from routing.conversations import notices
from routing.desk.states import locked
from routing.models import Conversation, Tag

MAX_TAGS = 30
MAX_NAME = 50


@transaction.atomic
def tag(*, conversation: Conversation, add: Sequence[str] = (), remove: Sequence[str] = (), by: Actor, now: datetime) -> list[str]:
    """Add tags to a conversation, new ones too, and remove others; return all that it has then.

    Raises:
        Invalid: a tag is empty or too long, or there are too many.
    """
    added, removed = _tidied(add, "add"), _tidied(remove, "remove")
    row = locked(conversation)
    had = set(row.tags.values_list("name", flat=True))
    wanted = (had | set(added)) - set(removed)
    if len(wanted) > MAX_TAGS:
        raise Invalid.field("add", _("At most {n} tags.").format(n=MAX_TAGS), "too_many")
    if wanted != had:
        fresh, gone = wanted - had, had - wanted
        Tag.objects.bulk_create(
            [Tag(id=new_id(), tenant_id=row.tenant_id, name=name, created_at=now) for name in sorted(fresh)], ignore_conflicts=True
        )
        row.tags.add(*Tag.objects.filter(tenant_id=row.tenant_id, name__in=fresh))
        row.tags.remove(*Tag.objects.filter(tenant_id=row.tenant_id, name__in=gone))
        detail = {"added": sorted(fresh), "removed": sorted(gone)}
        audit.record(by=by, action=Action.CONVERSATION_TAG, target=row.pk, tenant_id=row.tenant_id, detail=detail)
        notices.changed_after_commit(row)
    return sorted(wanted)


def _tidied(names: Sequence[str], field: str) -> list[str]:
    tidy = list(dict.fromkeys(" ".join(name.split()) for name in names))
    if any(not name or len(name) > MAX_NAME or find_control(name) for name in tidy) or len(tidy) > MAX_TAGS:
        raise Invalid.field(field, _("A tag has 1 to {n} characters.").format(n=MAX_NAME))
    return tidy
