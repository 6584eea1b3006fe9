"""Safe links for tests."""

from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone

from accounts.models import Tenant
from routing.links import making
from routing.links.making import MadeLink
from routing.models import LinkPurpose
from tests.builders import TESTER, make_tenant, untraced


def make_link(tenant: Tenant | None = None, purpose: LinkPurpose = LinkPurpose.VISIT, **fields: Any) -> MadeLink:
    """Make a link to a page, or what `fields` say."""
    owner = tenant or make_tenant()
    if purpose == LinkPurpose.VISIT:
        fields.setdefault("target", "https://www.example.com/orders/1042?a=1&b=2")
    with untraced():
        return making.make(purpose, tenant_id=owner.pk, **{"by": TESTER, "now": timezone.now(), **fields})


def path_of(made: MadeLink) -> str:
    """Return the part of a link's address that a browser asks this server for."""
    return urlsplit(made.url).path
