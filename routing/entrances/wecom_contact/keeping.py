"""Customers, follow-ups and tags are brought in step with what WeCom said: the whole state each time, so a lost event is made good."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from routing.contract import Incoming, SenderName
from routing.customers import attributes, identities
from routing.models import AttributeSource, ContactWay, Entrance, Follow, Identity

CONTACT, TAG = "contact", "tag"
#: Why a follow-up ended, by the event that says so.
ENDINGS = {"del_external_contact": "employee", "del_follow_user": "customer"}
_BATCH = 500


def contact(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Take in a change of a contact, in the transaction in which its arrival becomes done."""
    details = incoming.details
    found: Mapping[str, Any] | None = details.get("contact")
    sender = incoming.sender
    named = SenderName(sender.kind, sender.value, verified=True, name=str(found["name"])[:200] if found else sender.name)
    identity = identities.resolve(named, tenant_id=entrance.tenant_id, now=now)
    rows = Follow.objects.filter(identity=identity)
    change, user_id = str(details.get("change", "")), str(details.get("user_id", ""))
    if change in ENDINGS:
        rows.filter(user_id=user_id, ended_at=None).update(ended_at=now, end_reason=ENDINGS[change])
    if change == "transfer_fail":
        rows.filter(user_id=user_id).update(end_reason=f"not taken over: {details.get('reason', '')}"[:30])
    if found is None:
        rows.filter(ended_at=None).update(ended_at=now, end_reason=ENDINGS.get(change, "gone"))
        return
    for follower in found["followers"]:
        _follow(identity, follower, now=now)
    others = rows.filter(ended_at=None).exclude(user_id__in=[follower["user_id"] for follower in found["followers"]])
    others.update(ended_at=now, end_reason=ENDINGS.get(change, "gone"))
    _note(identity, entrance, now=now)


def _follow(identity: Identity, follower: Mapping[str, Any], *, now: datetime) -> None:
    said = {
        "remark": str(follower["remark"])[:200],
        "state": str(follower["state"])[:30],
        "tags": follower["tags"],
        "since": parse_datetime(str(follower["since"])) or now,
        "ended_at": None,
        "end_reason": "",
    }
    Follow.objects.update_or_create(
        identity=identity, user_id=str(follower["user_id"])[:64], defaults=said, create_defaults={**said, "tenant_id": identity.tenant_id}
    )


def _note(identity: Identity, entrance: Entrance, *, now: datetime) -> None:
    """Keep with the customer what rules steer by: the tags of all followers, and the group and tags of the contact way."""
    follows = list(Follow.objects.filter(identity=identity, ended_at=None).order_by("since"))
    way = (
        ContactWay.objects.filter(entrance=entrance, state__in=[one.state for one in follows if one.state]).select_related("group").first()
    )
    tags = {tag["name"] for one in follows for tag in one.tags if tag.get("name")} | {str(tag) for tag in (way.tags if way else ())}
    values: dict[str, Any] = {"tags": sorted(tags) or None, "contact_way": way.state if way else None}
    values["group"] = way.group.name if way and way.group else None
    attributes.record(identity.customer_id, values, source=AttributeSource.WECOM, now=now)


def tag(entrance: Entrance, incoming: Incoming, now: datetime) -> None:
    """Rename the company's tags where customers have them, and take away those that are gone."""
    names: Mapping[str, str] = incoming.details.get("names", {})
    rows = Follow.objects.filter(~Q(tags=[]), tenant_id=entrance.tenant_id, ended_at=None).select_related("identity")
    changed = []
    for row in rows.iterator(chunk_size=_BATCH):
        kept = [{**one, "name": names.get(one["id"], one["name"])} for one in row.tags if not one.get("id") or one["id"] in names]
        if kept != row.tags:
            row.tags = kept
            changed.append(row)
    Follow.objects.bulk_update(changed, ["tags"], batch_size=_BATCH)
    for identity in {row.identity_id: row.identity for row in changed}.values():
        _note(identity, entrance, now=now)
