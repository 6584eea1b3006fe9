"""Customers with a history, for tests."""

from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.models import (
    Arrival,
    ArrivalState,
    Attachment,
    AttributeSource,
    AuthorKind,
    Conversation,
    ConversationStatus,
    Customer,
    CustomerAttribute,
    Identity,
    IdentityKind,
    Line,
)
from tests.routing.builders import make_conversation, make_customer, make_identity


def make_attribute(
    customer: Customer, name: str, value: Any, source: AttributeSource = AttributeSource.API, **fields: Any
) -> CustomerAttribute:
    """Make an attribute of a customer."""
    return CustomerAttribute.objects.create(
        tenant_id=customer.tenant_id, customer=customer, name=name, value=value, source=source, set_at=timezone.now(), **fields
    )


def make_line(conversation: Conversation, text: str = "My parcel is late", **fields: Any) -> Line:
    """Make the next line of a conversation."""
    conversation.last_seq += 1
    conversation.save(update_fields=["last_seq"])
    return Line.objects.create(
        tenant_id=conversation.tenant_id,
        conversation=conversation,
        seq=conversation.last_seq,
        text=text,
        created_at=timezone.now(),
        **{"author": AuthorKind.CUSTOMER, **fields},
    )


def make_attachment(line: Line | None = None, **fields: Any) -> Attachment:
    """Make a file of a line."""
    owner = line or make_line(make_conversation())
    content = fields.pop("content", b"<script>alert(1)</script>")
    return Attachment.objects.create(
        tenant_id=owner.tenant_id,
        conversation=owner.conversation,
        line=owner,
        size=len(content),
        content=content,
        created_at=timezone.now(),
        **{"name": "bill.html", "content_type": "text/html", "sha256": "0" * 64, **fields},
    )


def make_known(tenant: Tenant | None = None, *, kind: IdentityKind = IdentityKind.EMAIL, value: str, **fields: Any) -> Identity:
    """Make a customer with one identity, and a resolved conversation with a line that came in."""
    identity = make_identity(make_customer(tenant, **fields), kind, value=value)
    conversation = make_conversation(identity, status=ConversationStatus.RESOLVED)
    line = make_line(conversation)
    Arrival.objects.create(
        tenant_id=identity.tenant_id,
        entrance=conversation.entrance,
        external_id=f"in-{line.pk}",
        sender=value,
        body={"text": line.text},
        state=ArrivalState.DONE,
        line_id=line.pk,
        received_at=timezone.now(),
    )
    return identity
