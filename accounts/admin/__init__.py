"""Tenants, people, API keys and the audit trail in the admin; one subject a module."""

from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.admin.audit import AuditAdmin
from accounts.admin.keys import ApiKeyAdmin
from accounts.admin.people import MemberAdmin, TenantAdminPage, UserAdmin

# Rights follow from memberships; a second way to give them would only be forgotten.
admin.site.unregister(Group)

__all__ = ["ApiKeyAdmin", "AuditAdmin", "MemberAdmin", "TenantAdminPage", "UserAdmin"]
