"""Make links, and take them back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from posthaste import env
from posthaste.lib.ids import new_id
from posthaste.lib.problems import Conflict, Invalid
from routing.actions import Action
from routing.configuration import links_and_cache
from routing.links import codes, handlers, standard  # noqa: F401 - whose module declares our own purposes
from routing.models import Customer, LinkPurpose, SafeLink

MAX_HOURS = 8_784
MAX_DATA_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A new link, and its address, which is shown only now."""

    row: SafeLink
    url: str


@transaction.atomic
def make(
    purpose: LinkPurpose,
    *,
    tenant_id: int,
    by: Actor,
    now: datetime,
    target: str = "",
    data: Mapping[str, Any] | None = None,
    customer_id: UUID | None = None,
    hours: float | None = None,
    max_uses: int | None = None,
) -> MadeLink:
    """Make a link. Time and uses are those of the configuration unless they are given.

    Raises:
        Invalid: naming what is wrong.
    """
    settings = links_and_cache.of(tenant_id)
    handler = handlers.find(purpose)
    if handler is None:
        known = ", ".join(handlers.available())
        raise Invalid.field("purpose", _("Links of this purpose are not available. Use one of: {known}.").format(known=known))
    hours = settings.link_hours if hours is None else hours
    if not 0 < hours <= MAX_HOURS:
        raise Invalid.field("hours", _("More than 0 and at most {n}.").format(n=MAX_HOURS))
    if customer_id is not None and not Customer.objects.filter(pk=customer_id, tenant_id=tenant_id, erased_at=None).exists():
        raise Invalid.field("customer", _("There is no such customer."))
    handler.check(tenant_id, target, data or {})
    code = codes.new_code(settings.code_length)
    expires_at = (now + timedelta(hours=hours)).replace(microsecond=0)
    row = SafeLink(
        id=new_id(),
        tenant_id=tenant_id,
        customer_id=customer_id,
        digest=codes.digest(code),
        purpose=purpose,
        target=target,
        data=dict(data or {}),
        max_uses=settings.link_uses if max_uses is None else max_uses,
        expires_at=expires_at,
        created_by=str(by)[:150],
        created_at=now,
    )
    row.save(force_insert=True)
    audit.record(by=by, action=Action.LINK_CREATE, target=row.pk, tenant_id=tenant_id, detail={"purpose": str(purpose)})
    signature = codes.sign(row.pk, purpose, expires_at)
    return MadeLink(row, f"{env.load().public_url.rstrip('/')}/l/{code}{signature}/")


@transaction.atomic
def revoke(*, link: SafeLink, by: Actor, now: datetime) -> None:
    """Make a link stop working, at once.

    Raises:
        Conflict: it was revoked already.
    """
    if not SafeLink.objects.filter(pk=link.pk, revoked_at=None).update(revoked_at=now):
        raise Conflict(_("It was revoked already."))
    link.revoked_at = now
    audit.record(by=by, action=Action.LINK_REVOKE, target=link.pk, tenant_id=link.tenant_id, detail={"purpose": link.purpose})
