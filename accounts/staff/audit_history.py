"""The history of a row from the audit trail: Django's own history covers only the admin, the trail also API and commands.

A history shows entries to those who may read them in the audit trail, which asks for a higher role than most rows do.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from accounts.models import AuditEntry, User
from accounts.staff import actors
from accounts.staff.export import note_export
from accounts.staff.lists import MAX_EXPORTED
from accounts.tenancy import least_to_see, tenant_of, tenants_of
from posthaste.ui.chips import address, chip
from posthaste.ui.export import as_csv
from posthaste.ui.paginator import page_of

FILTERS = ("actor", "action")
MAX_SAID = 500  # pairs of actor and action that a history's filters are made from


class AuditedHistory(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin whose history pages show the audit trail."""

    #: The actions that the services of such rows write. Empty: those of the admin itself, `<model>.<verb>`.
    audit_actions: tuple[str, ...] = ()

    def audit_targets(self, obj: Any) -> list[str]:
        """Return what audit entries name a row by."""
        return [str(obj.pk)]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Show what the audit trail says of a row."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        may_read = may_read_history(request, obj)
        if may_read and "csv" in request.GET:
            return _as_file(request, obj, _narrowed(request, self.entries_about(request, obj)))
        context = {
            **self.admin_site.each_context(request),
            "title": _("History of {name}").format(name=obj),
            "opts": self.opts,
            "object": obj,
            "original": obj,
            "may_read": may_read,
            **(_listed(request, obj, self.entries_about(request, obj)) if may_read else {}),
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


def _narrowed(request: HttpRequest, found: "models.QuerySet[AuditEntry]") -> "models.QuerySet[AuditEntry]":
    wanted = {name: request.GET.get(name, "").replace("\0", "") for name in FILTERS}
    return found.filter(**{name: value for name, value in wanted.items() if value})


def _listed(request: HttpRequest, obj: models.Model, found: "models.QuerySet[AuditEntry]") -> dict[str, Any]:
    """Return a page of a history and its filters, which offer the actors and actions that there are."""
    said = list(found.order_by().values_list("actor", "action").distinct()[:MAX_SAID])
    owner = tenant_of(obj)
    names = actors.names_of({actor for actor, _action in said}, tenant_ids=None if owner is None else [owner])
    by_actor = {actor: actors.in_words(actor, names) for actor, _action in said}
    by_action = {action: action for _actor, action in said}
    entries, newer, older = page_of(_narrowed(request, found), request, order=["id"], is_descending=True)
    return {
        "rows": [{"entry": entry, "actor": actors.shown(entry.actor, names), "details": details_of(entry)} for entry in entries],
        "newer": newer,
        "older": older,
        "chips": [
            chip(request, "actor", title=_("Who"), choices=sorted(by_actor.items(), key=lambda pair: pair[1].casefold())),
            chip(request, "action", title=_("What"), choices=sorted(by_action.items())),
        ],
        "is_narrowed": any(request.GET.get(name) for name in FILTERS),
        "csv_url": address(request, csv="1"),
    }


def details_of(entry: AuditEntry) -> list[str]:
    """Return what an entry says beyond who and what, each as one line."""
    return [f"{name}: {_text(value)}" for name, value in entry.detail.items()]


def _as_file(request: HttpRequest, obj: models.Model, found: "models.QuerySet[AuditEntry]") -> HttpResponseBase:
    """Return the history as CSV, `MAX_EXPORTED` entries at most, and note who took it."""
    filters = [name for name in FILTERS if request.GET.get(name)]
    note_export(request, target=f"{obj._meta.label_lower} {obj.pk}", filters=filters)
    heads = [_("When"), _("Who"), _("What"), _("From where"), _("detail")]
    cells = ([row.at, row.actor, row.action, row.ip, "; ".join(details_of(row))] for row in found[:MAX_EXPORTED].iterator(chunk_size=500))
    return as_csv(name="history", heads=heads, rows=cells)


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
