"""Rows of the service desk for tests."""

import itertools
from typing import Any

from django.utils import timezone

from accounts.models import Tenant
from routing.models import ContactWay, Conversation, Customer, Entrance, EntranceKind, Identity, IdentityKind
from tests.builders import make_tenant

_numbers = itertools.count(1)


def make_entrance(tenant: Tenant | None = None, kind: EntranceKind = EntranceKind.PORTAL, **fields: Any) -> Entrance:
    """Make an entrance."""
    fields.setdefault("name", f"Entrance {next(_numbers)}")
    return Entrance.objects.create(tenant=tenant or make_tenant(), kind=kind, created_at=timezone.now(), **fields)


def make_customer(tenant: Tenant | None = None, **fields: Any) -> Customer:
    """Make a customer without identities."""
    now = timezone.now()
    return Customer.objects.create(tenant=tenant or make_tenant(), **{"name": "Ada", "created_at": now, "last_seen_at": now, **fields})


def make_identity(customer: Customer | None = None, kind: IdentityKind = IdentityKind.PORTAL, **fields: Any) -> Identity:
    """Make an identity of a customer."""
    owner, now = customer or make_customer(), timezone.now()
    fields.setdefault("value", f"visitor-{next(_numbers)}")
    return Identity.objects.create(tenant_id=owner.tenant_id, customer=owner, kind=kind, created_at=now, last_seen_at=now, **fields)


def make_conversation(identity: Identity | None = None, entrance: Entrance | None = None, **fields: Any) -> Conversation:
    """Make a conversation of an identity, at an entrance of its tenant."""
    writer = identity or make_identity()
    place = entrance or make_entrance(writer.tenant)
    fields.setdefault("created_at", timezone.now())
    return Conversation.objects.create(tenant_id=writer.tenant_id, customer=writer.customer, identity=writer, entrance=place, **fields)


def make_way(entrance: Entrance, **fields: Any) -> ContactWay:
    """Make a contact way that WeCom knows nothing of."""
    values = {"name": "Shop 7", "state": f"shop-{next(_numbers)}", "users": ["zhangsan"], "welcome": "您好,欢迎!", **fields}
    return ContactWay.objects.create(tenant_id=entrance.tenant_id, entrance=entrance, created_at=timezone.now(), **values)
