"""What every admin page shares: rows of the reader's own tenants only, and an audit entry for each change."""

from collections.abc import Collection
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import escape
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Tenant, User
from accounts.permissions import least_role
from accounts.roles import Role
from accounts.services import audit
from accounts.services.audit import Actor
from accounts.staff.audit_history import AuditedHistory
from accounts.staff.export import Exported
from accounts.staff.lists import CappedPaginator, OfferedFilters
from accounts.tenancy import least_to_see, owned_by, tenant_path, tenants_of


def signed_in(request: HttpRequest) -> User:
    """Return the member of staff behind a request."""
    assert isinstance(request.user, User)
    return request.user


def own_tenants(request: HttpRequest, *, at_least: Role = Role.VIEWER) -> list[int]:
    """Return the tenants a request may see, asked once a request."""
    kept: dict[Role, list[int]] = request.__dict__.setdefault("_own_tenants", {})
    if at_least not in kept:
        kept[at_least] = tenants_of(signed_in(request), at_least=at_least)
    return kept[at_least]


def own_rows(request: HttpRequest, queryset: "models.QuerySet[Any]", *, at_least: Role | None = None) -> "models.QuerySet[Any]":
    """Keep the rows that a request may see; all for a superuser.

    A member sees a row with the role that its model asks for, in the row's own tenant; `at_least` asks for another role, such as the one
    that changes it. What belongs to no tenant no member sees.
    """
    if signed_in(request).is_superuser:
        return queryset
    least = least_to_see(queryset.model) if at_least is None else at_least
    if least is None or tenant_path(queryset.model) is None:
        return queryset.none()
    return owned_by(queryset, *own_tenants(request, at_least=least))


def form_tenants(request: HttpRequest, *, at_least: Role = Role.VIEWER) -> list[int]:
    """Return the tenants whose rows a form may offer: the one of its row, or of a new row the one that is chosen; else the reader's."""
    chosen: int | None = request.__dict__.get("_form_tenant")
    return own_tenants(request, at_least=at_least) if chosen is None else [chosen]


def form_rows(request: HttpRequest, queryset: "models.QuerySet[Any]", *, at_least: Role | None = None) -> "models.QuerySet[Any]":
    """Keep the rows that a form may offer: those that the request may see, of the tenant of the form's row."""
    rows, chosen = own_rows(request, queryset, at_least=at_least), request.__dict__.get("_form_tenant")
    if chosen is None or queryset.model is Tenant or tenant_path(queryset.model) is None:
        return rows
    return owned_by(rows, chosen)


def of_tenant(field: Any) -> None:
    """Mark a choice whose rows are of the tenant that a form names: the page reads it again when another one is chosen."""
    if field.queryset.model is not Tenant:
        field.widget.attrs["data-of-tenant"] = ""


def without_shortcuts(field: Any) -> None:
    """Show no icons beside a choice that add, change or delete what is chosen: each has a page of its own."""
    widget = field.widget
    widget.can_add_related = widget.can_change_related = widget.can_view_related = widget.can_delete_related = False


class TenantFilter(admin.SimpleListFilter):
    """By tenant; shown only to those who have several, and naming only theirs."""

    title = gettext_lazy("tenant")
    parameter_name = "tenant"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        own = own_tenants(request, at_least=least_to_see(model_admin.model) or Role.OWNER)
        if len(own) < 2 and not self.value():  # one that was given is looked at also where there is nothing to choose
            return []
        return [(str(pk), name) for pk, name in Tenant.objects.filter(pk__in=own).values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
        value = self.value()
        if not value:
            return queryset
        own = own_tenants(request, at_least=least_to_see(queryset.model) or Role.OWNER)
        if value not in map(str, own):
            raise IncorrectLookupParameters
        return owned_by(queryset, int(value))


class OwnedFilter(admin.RelatedFieldListFilter):
    """By a related row, naming only those of the reader's tenants; rows without one are those with "none"."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_value_display = escape(_("none"))

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        rows = own_rows(request, field.related_model._default_manager.all())
        return [(row.pk, str(row)) for row in rows[:200]]


class Audited(AuditedHistory, Exported):
    """Writes what was changed in the admin to the audit trail."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count the whole table
    list_per_page = 50
    paginator = CappedPaginator
    actions_selection_counter = True
    #: One line below the title: what these rows are for.
    purpose: Any = ""
    #: What an empty list says; `first_step` is (label, name of an admin URL).
    empty_text: Any = ""
    first_step: tuple[Any, str] | None = None
    #: What several rows are called below a list, where the plural names the list itself.
    rows_word: Any = ""
    #: Columns of figures, which are aligned at the right.
    figure_columns: tuple[str, ...] = ()
    #: Whether a row opens beside the list; for rows that are looked at rather than edited.
    has_panel = False
    #: Whether adding, changing and deleting goes by services, which write the audit trail themselves.
    saves_by_service = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OfferedFilters]:
        return OfferedFilters

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if not self.saves_by_service:
            self.record(request, "create", obj)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        fields = (
            [name for part in message if isinstance(part, dict) for name in part.get("changed", {}).get("fields", [])]
            if isinstance(message, list)
            else []
        )
        if not self.saves_by_service:
            self.record(request, "change", obj, fields=[str(name) for name in fields])
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in [] if self.saves_by_service else queryset:
            self.record(request, "delete", obj, name=str(obj)[:100])
        return super().log_deletions(request, queryset)

    def record(self, request: HttpRequest, verb: str, obj: models.Model, **detail: Any) -> None:
        """Write one audit entry about a row that has no service."""
        audit.record_row(by=Actor.of_request(request), verb=verb, row=obj, detail=detail)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        context["adminform"].form.label_suffix = ""
        return super().render_change_form(request, {"purpose": self.purpose, **context}, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if ERROR_FLAG in request.GET:  # Django leads here from an address whose filters it could not use
            messages.warning(request, _("A filter of the address could not be understood. This list is not filtered."))
        step = None
        if self.first_step and self.may_take_first_step(request):
            step = {"label": self.first_step[0], "url": reverse(self.first_step[1])}
        context = {
            "purpose": self.purpose,
            "empty_text": self.empty_text,
            "first_step": step,
            "title": capfirst(self.opts.verbose_name_plural),
            "export_url": reverse(f"admin:{self.url_name('export')}") if self.has_view_or_change_permission(request) else "",
            "has_panel": self.has_panel,
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def may_take_first_step(self, request: HttpRequest) -> bool:
        """Return whether an empty list offers its first step to the reader."""
        return self.has_add_permission(request)

    def page(
        self, request: HttpRequest, template: str, obj: models.Model | None = None, *, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Return a page of this admin in the site's frame."""
        request.current_app = self.admin_site.name
        base = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": obj,
            "title": str(obj) if obj else "",
            "purpose": self.purpose,
            "preserved_filters": self.get_preserved_filters(request),  # the way back to the list
        }
        return TemplateResponse(
            request, f"admin/{self.opts.app_label}/{self.opts.model_name}/{template}.html", {**base, **context}, status=status
        )

    def here(self, obj: models.Model) -> str:
        """Return the address of a row's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])

    def url_name(self, verb: str) -> str:
        """Return the name under which a page of this admin is found."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{verb}"

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field: Any = super().formfield_for_choice_field(db_field, request, **kwargs)
        field.choices = [(value, _("Choose one") if value == "" and "---" in str(label) else label) for value, label in field.choices]
        return field


class SuperuserOnly(Audited):
    """What belongs to the whole installation."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_superuser)


class TenantAdmin(Audited):
    """Rows of the reader's own tenants, and nothing of anybody else's: in lists, filters and choices."""

    #: Columns and filters naming the tenant are left out for those who have one.
    tenant_column = "tenant"

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Any]":
        return own_rows(request, super().get_queryset(request))

    # Django asks the back end without the row, which would let a role in one tenant open another's.
    def _allowed(self, request: HttpRequest, action: str, obj: models.Model | None) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.{action}_{self.opts.model_name}", obj))

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._allowed(request, "view", obj)

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._allowed(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Return whether the user may act on rows whose fields are read-only."""
        return self._allowed(request, "change", obj)

    @property
    def least(self) -> Role:
        """The least role that changes such rows."""
        return least_role(self.opts.app_label, str(self.opts.model_name), "change") or Role.OWNER

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        request.__dict__["_form_tenant"] = self._tenant_of_form(request, obj, kwargs.get("fields") or ())
        return super().get_form(request, obj, change=change, **kwargs)

    def _tenant_of_form(self, request: HttpRequest, obj: Any, fields: Collection[str]) -> int | None:
        """Return the tenant that choices are of; None: rows of this kind have none, or nothing in the form says which."""
        if self.model is Tenant or not hasattr(self.model, "tenant_id"):
            return None
        if obj is not None:
            return cast(int | None, obj.tenant_id)
        if "tenant" not in fields:
            return None
        own = own_tenants(request, at_least=self.least)
        chosen = (request.POST if request.method == "POST" else request.GET).get("tenant", "")
        return next((pk for pk in own if str(pk) == chosen), own[0] if own else None)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        related = db_field.related_model
        rows = kwargs.get("queryset")
        kwargs["queryset"] = form_rows(request, related._default_manager.all() if rows is None else rows, at_least=self.least)
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None:
            field.empty_label = None if related is Tenant else _("Choose one") if field.required else _("None")
            of_tenant(field)
        return field

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.related_model is not None:
            without_shortcuts(field)
        return field

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        several = len(own_tenants(request)) > 1
        return columns if several else [name for name in columns if name != self.tenant_column]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = [*super().get_list_filter(request)]
        return [*filters, TenantFilter] if tenant_path(self.model) is not None and self.model is not Tenant else filters

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        own = own_tenants(request, at_least=self.least)
        return {**({"tenant": own[0]} if own else {}), **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*super().get_readonly_fields(request, obj)]
        # What was made for one tenant never moves to another.
        return (
            [*fields, "tenant"]
            if obj is not None and self.model is not Tenant and "tenant" not in fields and hasattr(obj, "tenant_id")
            else fields
        )

    def own(self, request: HttpRequest, object_id: str, *, change: bool = False) -> Any:
        """Return a row that the user may see.

        Raises:
            Http404: there is none, or it belongs to another tenant.
            PermissionDenied: it may be seen, not changed.
        """
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        if change and not self._allowed(request, "change", obj):
            raise PermissionDenied
        return obj

    def back(self, request: HttpRequest, obj: models.Model) -> HttpResponseRedirect:
        """Lead back to where a button was pressed: the list, if that was it."""
        target = request.POST.get("next", "")
        listing = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        return HttpResponseRedirect(target if target == listing or target.startswith(f"{listing}?") else self.here(obj))


class ReadOnly(TenantAdmin):
    """History: looked at, searched, never edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
