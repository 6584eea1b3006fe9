"""Tenants and API keys."""

from io import StringIO

from django.core.management import call_command

from accounts.models import ApiKey, Tenant
from tests.architecture.audit_entrances.world import COMMAND, KEY, USER, Event

ACCOUNTS = [
    Event(
        "key.issue",
        lambda w: ApiKey.objects.latest("pk").prefix,
        (
            (
                USER,
                lambda w: w.page("admin:accounts_apikey_add", tenant=w.own.tenant.pk, name="mine", kind="live", scopes=["messages:read"]),
            ),
            (KEY, lambda w: w.call("POST", "keys/", {"name": "mine", "scopes": ["messages:read"]})),
            (COMMAND, lambda w: call_command("create_tenant", "shop", stdout=StringIO())),
        ),
        tenant=lambda w: ApiKey.objects.latest("pk").tenant_id,
    ),
    Event(
        "key.revoke",
        lambda w: w.own.key.prefix,
        (
            (USER, lambda w: w.page("admin:accounts_apikey_revoke", w.own.key.pk)),
            (KEY, lambda w: w.call("POST", f"keys/{w.own.key.pk}/revoke/")),
        ),
    ),
    Event(
        "tenant.create",
        lambda w: "shop",
        (
            (USER, lambda w: w.page("admin:accounts_tenant_add", name="Shop", slug="shop", weight="1", is_active="on")),
            (COMMAND, lambda w: call_command("create_tenant", "shop", stdout=StringIO())),
        ),
        tenant=lambda w: Tenant.objects.get(slug="shop").pk,
    ),
    Event(
        "tenant.delete",
        lambda w: w.empty.slug,
        (
            (USER, lambda w: w.page("admin:accounts_tenant_delete", w.empty.pk, name=w.empty.slug)),
            (COMMAND, lambda w: call_command("delete_tenant", w.empty.slug, "--yes", stdout=StringIO())),
        ),
        tenant=lambda w: None,
    ),
]
