"""What comes in, for tests."""

import itertools
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from posthaste.lib.ids import new_id
from routing.contract import Incoming, SenderName
from routing.conversations import lines
from routing.entrances.provision import ensure_reply_provider
from routing.models import Arrival, Attachment, AuthorKind, Conversation, Entrance, IdentityKind
from tests.builders import untraced
from tests.routing.builders import make_conversation, make_customer, make_identity

_numbers = itertools.count(1)
_FORM = "multipart/form-data; boundary=x"
#: What is no form with a file: its type, its body, and the code of the error.
FORMS = [
    ("application/json", b"{}", "required"),
    ("multipart/form-data", b"--x--", "malformed"),
    (_FORM, b"", "required"),
    (_FORM, b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nhi\r\n--x--\r\n', "required"),
    (_FORM, b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhi\r\n--x--\r\n', "not_a_file"),
    (_FORM, b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % n for n in range(1_001)) + b"--x--", "malformed"),
]


def incoming(text: str = "Where is my order?", *, sender: str = "visitor-1", **fields: Any) -> Incoming:
    """Return a text from a visitor, with an external id of its own."""
    fields.setdefault("external_id", f"external-{next(_numbers)}")
    return Incoming(sender=SenderName(kind=IdentityKind.PORTAL, value=sender), text=text, **fields)


def make_asked(tenant: Tenant, text: str = "Where is my order?", **fields: Any) -> Conversation:
    """Make a conversation in which the customer has asked something, and what carries the replies."""
    conversation = make_conversation(make_identity(make_customer(tenant)), **fields)
    with untraced() as by:
        ensure_reply_provider(tenant_id=tenant.pk, by=by)
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=text, now=timezone.now())
    return conversation


def make_attachment(conversation: Conversation, **fields: Any) -> Attachment:
    """Make a file of a conversation's first line."""
    values = {"name": "plan.txt", "content_type": "text/plain", "size": 2, "sha256": "", "content": b"hi", "created_at": timezone.now()}
    line = conversation.lines.order_by("seq")[0]
    return Attachment.objects.create(tenant_id=conversation.tenant_id, conversation=conversation, line=line, **{**values, **fields})


def make_arrival(entrance: Entrance, **fields: Any) -> Arrival:
    """Make something that came in."""
    values: dict[str, Any] = {"external_id": new_id().hex, "sender": "portal:visitor", "body": {}, "received_at": timezone.now()}
    return Arrival.objects.create(tenant_id=entrance.tenant_id, entrance=entrance, **{**values, **fields})
