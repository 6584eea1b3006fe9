"""The history of a row from the audit trail: Django's own history covers only the admin, the trail also API and commands.

A history shows entries to those who may read them in the audit trail, which asks for a higher role than most rows do.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from accounts.models import AuditEntry, User
from accounts.tenancy import least_to_see, tenant_of, tenants_of

A_PAGE = 50


class AuditedHistory(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin whose history pages show the audit trail."""

    #: The actions that the services of such rows write. Empty: those of the admin itself, `<model>.<verb>`.
    audit_actions: tuple[str, ...] = ()

    def audit_targets(self, obj: Any) -> list[str]:
        """Return what audit entries name a row by."""
        return [str(obj.pk)]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show what the audit trail says of a row."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined,no-any-return]
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        may_read = may_read_history(request, obj)
        found = self.entries_about(request, obj) if may_read else AuditEntry.objects.none()
        entries = Paginator(found, A_PAGE).get_page(request.GET.get("p"))
        rows = [(entry, [f"{name}: {_text(value)}" for name, value in entry.detail.items()]) for entry in entries]
        context = {
            **self.admin_site.each_context(request),
            "title": _("History"),
            "opts": self.opts,
            "object": obj,
            "original": obj,
            "entries": entries,
            "rows": rows,
            "may_read": may_read,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/object_history.html", context, status=200 if may_read else 403)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        row = kwargs.get("obj")
        may_read = row is not None and may_read_history(request, row)
        return super().render_change_form(request, {"may_read_history": may_read, **context}, *args, **kwargs)

    def entries_about(self, request: HttpRequest, obj: models.Model) -> "models.QuerySet[AuditEntry]":
        """Return the audit entries about a row, newest first. Those of no tenant are for superusers."""
        own = Q(action__in=self.audit_actions) if self.audit_actions else Q(action__startswith=f"{self.opts.model_name}.")
        names = self.audit_targets(obj)
        found = AuditEntry.objects.filter(own, target__in=names).order_by("-id")
        owner = tenant_of(obj)
        if getattr(request.user, "is_superuser", False):
            return found if owner is None else found.filter(Q(tenant_id=owner) | Q(tenant_id=None))
        return found.filter(tenant_id=owner) if owner is not None else found.none()


def may_read_history(request: HttpRequest, row: models.Model) -> bool:
    """Return whether the reader may read the audit trail of the tenant that a row belongs to."""
    user, least = request.user, least_to_see(AuditEntry)
    if not isinstance(user, User) or least is None:
        return False
    return user.is_superuser or tenant_of(row) in tenants_of(user, at_least=least)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
