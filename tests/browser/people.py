"""Tenants, people, keys and the audit trail, and the addresses of their pages."""

from django.urls import reverse

from accounts.models import AuditEntry, Tenant, User
from accounts.services.api_keys import issue_api_key
from tests.browser.scene import Scene
from tests.builders import TESTER


def people_pages(scene: Scene) -> dict[str, str]:
    """Make a key and a tenant that sends nothing, and return the addresses of the pages of access by name."""
    tenant = scene.tenant
    key, _clear = issue_api_key(tenant=tenant, name="Shop", scopes=["messages:send"], by=TESTER)
    entry = AuditEntry.objects.filter(tenant=tenant).latest("pk")
    trail = reverse("admin:accounts_auditentry_changelist")
    found = {
        "new key": reverse("admin:accounts_apikey_add"),
        "key": reverse("admin:accounts_apikey_change", args=[key.pk]),
        "new member": reverse("admin:accounts_member_add"),
        "new user": reverse("admin:accounts_user_add"),
        "user": reverse("admin:accounts_user_change", args=[User.objects.get(is_superuser=True).pk]),
        "new tenant": reverse("admin:accounts_tenant_add"),
        "tenant": reverse("admin:accounts_tenant_change", args=[tenant.pk]),
        "delete tenant": reverse("admin:accounts_tenant_delete", args=[Tenant.objects.create(slug="idle", name="Idle").pk]),
        "tenant that stays": reverse("admin:accounts_tenant_delete", args=[tenant.pk]),
        "history of tenant": reverse("admin:accounts_tenant_history", args=[tenant.pk]),
        "password": reverse("admin:password_change"),
        "entry of the audit trail": reverse("admin:accounts_auditentry_change", args=[entry.pk]),
        "audit trail of nobody": f"{trail}?q=nobody",
    }
    lists = ("apikey", "member", "tenant", "user", "auditentry")
    return found | {f"accounts_{name}": reverse(f"admin:accounts_{name}_changelist") for name in lists}
