"""Tenants, people, API keys and the audit trail in the admin; one subject a module."""

from django.contrib import admin
from django.contrib.auth.models import Group

from configcenter.admin.installation import AuditAdmin
from configcenter.admin.jobs import JobAdmin
from configcenter.admin.keys import ApiKeyAdmin
from configcenter.admin.people import MemberAdmin, TenantAdminPage, UserAdmin

# Rights follow from memberships; a second way to give them would only be forgotten.
admin.site.unregister(Group)

__all__ = ["ApiKeyAdmin", "AuditAdmin", "JobAdmin", "MemberAdmin", "TenantAdminPage", "UserAdmin"]
