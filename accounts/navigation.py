"""The places of tenants, people, keys and the audit trail in the navigation."""

from django.utils.translation import gettext_lazy as _

from posthaste.ui import navigation
from posthaste.ui.navigation import Group, model_list

navigation.add(
    model_list("accounts", "auditentry", group=Group.RECORDS, order=40, icon="audit", label=_("Audit trail")),
    model_list("accounts", "apikey", group=Group.ACCESS, order=10, icon="key", label=_("API keys")),
    model_list("accounts", "member", group=Group.ACCESS, order=20, icon="members", label=_("Members")),
    model_list("accounts", "tenant", group=Group.ACCESS, order=30, icon="tenants", label=_("Tenants")),
    model_list("accounts", "user", group=Group.ACCESS, order=40, icon="user", label=_("Users")),
)
