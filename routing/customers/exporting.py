"""Everything that is kept about a customer, as JSON that they can be given."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste.lib.problems import NotFound
from routing.actions import Action
from routing.customers import suppressed, ticket_texts
from routing.customers.family import family_of
from routing.models import (
    Attachment,
    Conversation,
    Customer,
    CustomerAttribute,
    CustomerMerge,
    Follow,
    Identity,
    IdentityKind,
    Line,
    LinkClick,
    SafeLink,
    Satisfaction,
    Welcome,
)

Json = dict[str, Any]
#: What an export says that is not in it, and where it is.
NOT_INCLUDED = (
    {"what": "attachments' contents", "where": "/api/attachments/"},
    {"what": "texts of messages", "where": "/api/messages/, as long as the platform keeps them"},
    {"what": "audit trail", "where": "/api/audit/"},
)


@transaction.atomic
def export(*, customer_id: UUID, tenant_id: int, by: Actor, now: datetime) -> Json:
    """Return everything about a customer, with those that were merged into it, and write down who asked.

    Raises:
        NotFound: there is no such customer.
    """
    customer = Customer.objects.filter(pk=customer_id, tenant_id=tenant_id).first()
    if customer is None:
        raise NotFound
    family = family_of(customer)
    own = [row.pk for row in family]
    identities = list(Identity.objects.filter(customer__in=own).order_by("kind", "value"))
    messages = suppressed.messages(identities, tenant_id=tenant_id)
    found: Json = {
        "exported_at": now,
        "customer": _columns(customer, "id", "name", "language", "note", "created_at", "last_seen_at", "erased_at"),
        "merged": [_columns(row, "id", "name", "language", "note", "created_at") for row in family if row.pk != customer.pk],
        "identities": _rows(identities, "id", "kind", "value", "name", "verified_at", "created_at", "last_seen_at"),
        "attributes": _rows(
            CustomerAttribute.objects.filter(customer__in=own), "name", "value", "source", "valid_until", "set_by", "set_at"
        ),
        "merges": _rows(
            CustomerMerge.objects.filter(kept__in=own).order_by("pk"), "id", "kept_id", "merged_id", "state", "reason", "decided_at"
        ),
        "conversations": _conversations(own),
        "tickets": ticket_texts.exported(own),
        "wecom": _wecom(identities, tenant_id),
        "links": _links(own),
        "suppressions": _rows(
            suppressed.entries(identities, tenant_id=tenant_id, now=now), "recipient", "channel", "category", "reason", "created_at"
        ),
        "messages": messages[: suppressed.MAX_MESSAGES],
        "has_more_messages": len(messages) > suppressed.MAX_MESSAGES,
        "not_included": list(NOT_INCLUDED),
    }
    audit.record(by=by, action=Action.CUSTOMER_EXPORT, target=customer_id, tenant_id=tenant_id)
    return found


def _columns(row: Any, *names: str) -> Json:
    return {name: getattr(row, name) for name in names}


def _rows(rows: Iterable[Any], *names: str) -> list[Json]:
    return [_columns(row, *names) for row in rows]


def _wecom(identities: list[Identity], tenant_id: int) -> Json:
    """Return who follows the customer in WeCom, and which welcome messages they got."""
    names = [row.value for row in identities if row.kind == IdentityKind.WECOM]
    follows = Follow.objects.filter(identity__in=identities).order_by("pk")
    welcomes = Welcome.objects.filter(entrance__tenant=tenant_id, external_user_id__in=names).order_by("pk")
    return {
        "follow_ups": _rows(follows, "user_id", "remark", "state", "tags", "since", "ended_at"),
        "welcomes": _rows(welcomes, "external_user_id", "state", "created_at"),
    }


def _conversations(customers: list[UUID]) -> list[Json]:
    lines: dict[UUID, list[Json]] = {}
    for line in Line.objects.filter(conversation__customer__in=customers).order_by("conversation_id", "seq").iterator(chunk_size=500):
        shown = _columns(line, "id", "seq", "author", "text", "data", "recognition", "created_at")
        lines.setdefault(line.conversation_id, []).append(shown)
    files: dict[UUID | None, list[Json]] = {}
    for file in Attachment.objects.filter(conversation__customer__in=customers).defer("content").order_by("pk"):
        shown = _columns(file, "id", "line_id", "name", "content_type", "size", "sha256", "created_at")
        files.setdefault(file.conversation_id, []).append(shown)
    ratings: dict[UUID, list[Json]] = {}
    for rating in Satisfaction.objects.filter(conversation__customer__in=customers).order_by("pk"):
        ratings.setdefault(rating.conversation_id, []).append(_columns(rating, "score", "comment", "asked_at", "answered_at"))
    rows = Conversation.objects.filter(customer__in=customers).select_related("entrance", "identity").order_by("pk")
    return [
        {
            **_columns(row, "id", "identity_id", "subject", "status", "language", "intent", "priority", "created_at", "resolved_at"),
            "entrance": row.entrance.name,
            "identity_verified_at": row.identity.verified_at,
            "lines": lines.get(row.pk, []),
            "attachments": files.get(row.pk, []),
            "ratings": ratings.get(row.pk, []),
        }
        for row in rows
    ]


def _links(customers: list[UUID]) -> list[Json]:
    clicks: dict[UUID, list[Json]] = {}
    for click in LinkClick.objects.filter(link__customer__in=customers).order_by("pk"):
        shown = _columns(click, "method", "outcome", "network", "user_agent", "clicked_at")
        clicks.setdefault(click.link_id, []).append(shown)
    rows = SafeLink.objects.filter(customer__in=customers).order_by("pk")
    return [
        {**_columns(row, "id", "purpose", "target", "uses", "expires_at", "created_at"), "clicks": clicks.get(row.pk, [])} for row in rows
    ]
