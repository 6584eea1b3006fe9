"""Customers and what is around them: their page, merging, erasing, safe links, and entrances of each kind."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from accounts.models import Tenant
from routing.customers import erasing, merging, suggestions
from routing.models import EntranceKind, IdentityKind, LinkPurpose
from tests.browser.scene import Scene
from tests.builders import make_suppression, untraced
from tests.routing.builders import make_conversation, make_customer, make_entrance, make_identity, make_way
from tests.routing.customers.builders import make_attachment, make_attribute
from tests.routing.links.builders import make_link, path_of

#: A link that worked once: its status is 410.
GONE = ("expired link",)


def customer_pages(scene: Scene) -> dict[str, str]:
    """Make customers who may be one, a link and entrances, and return the addresses of the pages by name."""
    tenant, now = scene.tenant, timezone.now()
    grace, other = make_customer(tenant, name="Grace Hopper", language="en"), make_customer(tenant, name="")
    phone = make_identity(grace, IdentityKind.PHONE, value="+8613800138000", verified_at=now)
    make_identity(other, IdentityKind.EMAIL, value="grace@example.com")
    make_suppression(tenant, phone.value, channel="sms", reason="hard_bounce")
    make_attribute(grace, "level", "gold")
    contacts = make_entrance(tenant, EntranceKind.WECOM_CONTACT, name="Sales")
    make_conversation(phone, contacts)
    way = make_way(contacts)
    merge = suggestions.suggest(grace, other, reason="shared:email", now=now)
    assert merge is not None
    made = make_link(tenant, customer_id=grace.pk)
    adding = reverse("admin:routing_entrance_add")
    return {
        **_opened_links(tenant, {"identity": str(phone.pk), "category": "marketing"}),
        **_kept_apart(tenant),
        "new contact way": reverse("admin:routing_contactway_add"),
        "new application of WeCom": f"{adding}?kind={EntranceKind.WECOM_APP}",
        "list of customers": reverse("admin:routing_customer_changelist"),
        "customer": reverse("admin:routing_customer_change", args=[grace.pk]),
        "merge of two customers": f"{reverse('admin:routing_customer_merge', args=[grace.pk])}?other={other.pk}",
        "erasing a customer": reverse("admin:routing_customer_erase", args=[grace.pk]),
        "merges": reverse("admin:routing_customermerge_changelist"),
        "suggested merge": reverse("admin:routing_customermerge_change", args=[merge.pk]),
        "safe links": reverse("admin:routing_safelink_changelist"),
        "safe link": reverse("admin:routing_safelink_change", args=[made.row.pk]),
        "opened link": path_of(made),
        "link that is not known": path_of(made)[:-4] + "aaaa",
        "entrances": reverse("admin:routing_entrance_changelist"),
        "entrance": reverse("admin:routing_entrance_change", args=[contacts.pk]),
        "kinds of entrances": adding,
        "new mailbox": f"{adding}?kind={EntranceKind.EMAIL}",
        "new entrance of WeCom": f"{adding}?kind={EntranceKind.WECOM_KF}",
        "contact ways": reverse("admin:routing_contactway_changelist"),
        "contact way": reverse("admin:routing_contactway_change", args=[way.pk]),
    }


def _opened_links(tenant: Tenant, unsubscribed: dict[str, str]) -> dict[str, str]:
    """Make links of the purposes that ask first, and one that has expired, and return the addresses of their pages."""
    file = make_attachment(name="invoice.pdf")
    return {
        "link to unsubscribe": path_of(make_link(tenant, LinkPurpose.UNSUBSCRIBE, data=unsubscribed)),
        "link to a file": path_of(make_link(file.tenant, LinkPurpose.ATTACHMENT, data={"attachment": str(file.pk)}, max_uses=3)),
        "expired link": path_of(make_link(tenant, now=timezone.now() - timedelta(days=30))),
    }


def _kept_apart(tenant: Tenant) -> dict[str, str]:
    """Make customers that were merged, that can't be, and that were erased, and return the addresses of their pages."""
    now = timezone.now()
    kept, merged, other, gone = (make_customer(tenant, name=name) for name in ("Li Lei", "李雷", "Kim", "Eve"))
    for customer in (kept, other):
        make_identity(customer, IdentityKind.EMAIL, value=f"{customer.pk}@example.com", verified_at=now)
    with untraced() as by:
        done = merging.merge(kept_id=kept.pk, merged_id=merged.pk, tenant_id=tenant.pk, by=by, now=now)
        erasing.erase(customer_id=gone.pk, tenant_id=tenant.pk, by=by, now=now)
    return {
        "merge that was done": reverse("admin:routing_customermerge_change", args=[done.pk]),
        "merge of two who are not one": f"{reverse('admin:routing_customer_merge', args=[kept.pk])}?other={other.pk}",
        "merged customer": reverse("admin:routing_customer_change", args=[merged.pk]),
        "erased customer": reverse("admin:routing_customer_change", args=[gone.pk]),
    }
