"""Tenants, accounts and memberships in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.actions import Action
from accounts.labels import Activity
from accounts.models import Member, Tenant, User
from accounts.roles import Role
from accounts.services import people, tenants
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import SuperuserOnly, TenantAdmin
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, moment


class MemberFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """Boxes in a table have no label beside them."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = _("Delete this membership")
        for name in ("tenant", "role"):
            if name in form.fields:
                widget = form.fields[name].widget
                getattr(widget, "widget", widget).attrs["aria-label"] = capfirst(str(form.fields[name].label))


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Member
    formset = MemberFormSet
    extra = 0
    fields = ["tenant", "role"]


@admin.register(Tenant)
class TenantAdminPage(TenantAdmin):
    """Tenants, which own messages; created by superusers."""

    purpose = gettext_lazy("A tenant owns messages, templates, providers and keys. Tenants can't see each other's data.")
    list_display = ["name", "slug", "state", "weight", "people", "keys", "created"]
    figure_columns = ("weight", "people", "keys")
    list_filter = ["is_active"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    fields = ["name", "slug", "weight", "is_active", "is_operator"]
    audit_actions = (Action.TENANT_CREATE, Action.TENANT_CHANGE, Action.TENANT_DELETE)
    saves_by_service = True

    def audit_targets(self, obj: Tenant) -> list[str]:
        return [obj.slug]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        if change:
            tenants.change_tenant(tenant=obj, fields=form.changed_data, by=Actor.of_request(request))
        else:
            tenants.create_tenant(tenant=obj, by=Actor.of_request(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Make `is_operator` read-only for a tenant's administrators: their keys must not reach the whole installation."""
        found = [*super().get_readonly_fields(request, obj)]
        return found if getattr(request.user, "is_superuser", False) else [*found, "is_operator"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete", obj)  # no role has it: superusers only

    def get_actions(self, request: HttpRequest) -> Any:
        """One at a time, by its own page: Django's bulk deletion would pass by the service."""
        return {}

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Delete a tenant that has sent nothing, once its short name was typed, or say why it stays."""
        tenant: Tenant = self.own(request, unquote(object_id))
        if not self.has_delete_permission(request, tenant):
            raise PermissionDenied
        stays, error, status = tenants.why_it_stays(tenant=tenant), "", 200
        if request.method == "POST":
            error, status = _("Type {name} to continue.").format(name=tenant.slug), 422
            if request.POST.get("name", "").strip() == tenant.slug:
                error, status = "", 409
                try:
                    tenants.delete_tenant(tenant=tenant, by=Actor.of_request(request))
                except tenants.TenantInUse as problem:
                    stays = str(problem.detail)
                else:
                    self.message_user(request, _("{name} was deleted.").format(name=tenant.name))
                    return HttpResponseRedirect(reverse("admin:accounts_tenant_changelist"))
        context = {"stays": stays, "error": error, "belongings": [] if stays else tenants.belongings(tenant=tenant)}
        title = _("Delete {name}").format(name=tenant.name)
        return self.page(request, "delete", tenant, status=409 if stays and status != 200 else status, title=title, purpose="", **context)

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Tenant]":
        rows: models.QuerySet[Tenant] = super().get_queryset(request)
        return rows.annotate(
            people=Count("members", distinct=True), keys=Count("api_keys", filter=Q(api_keys__revoked_at=None), distinct=True)
        )

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.prepopulated_fields if obj is None and self.has_add_permission(request) else {}

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def state(self, row: Tenant) -> SafeString:
        return badge(Activity.of(row.is_active))

    @admin.display(description=gettext_lazy("members"), ordering="people")
    def people(self, row: Tenant) -> int:
        return int(getattr(row, "people", 0))

    @admin.display(description=gettext_lazy("valid keys"), ordering="keys")
    def keys(self, row: Tenant) -> int:
        return int(getattr(row, "keys", 0))

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, row: Tenant) -> SafeString:
        return ago(row.created_at)


@admin.register(User)
class UserAdmin(SuperuserOnly, DjangoUserAdmin[User]):
    """People who sign in here."""

    purpose = gettext_lazy("People who sign in here. Their memberships determine what they can do.")
    list_display = ["username", "full_name", "email", "state", "roles", "last_seen"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["username", "first_name", "last_name", "email"]
    ordering = ["username"]
    filter_horizontal = ()
    inlines = [MemberInline]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (gettext_lazy("Personal info"), {"fields": ("first_name", "last_name", "email")}),
        (gettext_lazy("Access"), {"fields": ("is_active", "is_staff", "is_superuser", "config_right")}),
        (gettext_lazy("Dates"), {"fields": ("last_signed_in", "joined")}),
    )
    readonly_fields = ["last_signed_in", "joined"]
    audit_actions = (Action.USER_CREATE, Action.USER_CHANGE, Action.USER_PASSWORD, Action.USER_DELETE)
    saves_by_service = True

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            people.change_user(user=obj, fields=form.changed_data, by=Actor.of_request(request))
        else:
            obj.is_staff = True  # the first form does not ask; all accounts are of people who sign in here
            people.create_user(user=obj, by=Actor.of_request(request))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Store the memberships of a user's page."""
        by = Actor.of_request(request)
        formset.save(commit=False)
        for member in formset.deleted_objects:
            people.remove_member(member=member, by=by)
        for member, _fields in formset.changed_objects:
            people.change_member(member=member, by=by)
        for member in formset.new_objects:
            people.add_member(member=member, by=by)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        # Django's page saves by its own form and reports to log_change: one transaction for both.
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if request.resolver_match is not None and request.resolver_match.url_name == "auth_user_password_change":
            people.set_password(user=obj, by=Actor.of_request(request))
        return super().log_change(request, obj, message)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        people.delete_user(user=obj, by=Actor.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: "models.QuerySet[User]") -> None:
        for user in queryset:
            people.delete_user(user=user, by=Actor.of_request(request))

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[User]":
        return super().get_queryset(request).prefetch_related("memberships__tenant")

    @admin.display(description=gettext_lazy("name"))
    def full_name(self, row: User) -> str:
        return row.get_full_name() or NOTHING

    @admin.display(description=gettext_lazy("state"), ordering="is_active")
    def state(self, row: User) -> SafeString:
        return badge(Activity.of(row.is_active and row.is_staff))

    @admin.display(description=gettext_lazy("memberships"))
    def roles(self, row: User) -> str:
        named = [f"{m.tenant.name}: {_word(m.role)}" for m in row.memberships.all()]
        return ", ".join([*([_("Superuser")] if row.is_superuser else []), *named]) or NOTHING

    @admin.display(description=gettext_lazy("last seen"))
    def last_signed_in(self, row: User) -> SafeString:
        return moment(row.last_login)

    @admin.display(description=gettext_lazy("created"))
    def joined(self, row: User) -> SafeString:
        return moment(row.date_joined)

    @admin.display(description=gettext_lazy("last seen"), ordering="last_login")
    def last_seen(self, row: User) -> SafeString:
        return ago(row.last_login)


def _word(role: str) -> str:
    """Return the name in a role's label, without the explanation after it."""
    return str(Role(role).label).replace("：", ":").partition(":")[0]


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]
    """Ask for the name of a new member; a list to choose from would show who else uses this installation."""

    username = forms.CharField(
        label=gettext_lazy("user name"), max_length=150, help_text=gettext_lazy("The exact user name of an existing account.")
    )

    class Meta:
        model = Member
        fields = ["tenant", "role"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields.pop("username", None)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if name := values.get("username"):
            user = User.objects.filter(username=name, is_active=True).first()
            if user is None:
                self.add_error("username", _("There is no active account with this name. A superuser can create one."))
            elif values.get("tenant") and Member.objects.filter(tenant=values["tenant"], user=user).exists():
                self.add_error("username", _("This user is already a member of the tenant."))
            else:
                self.instance.user = user
        return values


@admin.register(Member)
class MemberAdmin(TenantAdmin):
    """Roles of people in tenants."""

    purpose = gettext_lazy("What each person can do in a tenant. Each role includes the roles below it.")
    form = MemberForm
    list_display = ["user", "role_word", "tenant", "created"]
    list_display_links = ["user"]
    list_filter = ["role"]
    list_select_related = ["user", "tenant"]
    search_fields = ["user__username", "user__email"]
    empty_text = gettext_lazy("Only superusers have access so far.")
    first_step = (gettext_lazy("Add a member"), "admin:accounts_member_add")
    audit_actions = (Action.MEMBER_CREATE, Action.MEMBER_CHANGE, Action.MEMBER_DELETE)
    saves_by_service = True

    def save_model(self, request: HttpRequest, obj: Member, form: Any, change: bool) -> None:
        if not change:
            people.add_member(member=obj, by=Actor.of_request(request))
        elif form.changed_data:
            people.change_member(member=obj, by=Actor.of_request(request))

    def delete_model(self, request: HttpRequest, obj: Member) -> None:
        people.remove_member(member=obj, by=Actor.of_request(request))

    def delete_queryset(self, request: HttpRequest, queryset: "models.QuerySet[Member]") -> None:
        for member in queryset.select_related("user"):
            people.remove_member(member=member, by=Actor.of_request(request))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": ["tenant", "username" if obj is None else "user", "role"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *(["user"] if obj else [])]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # `username` is the form's own field, not one of the model's: Django must not look for it there.
        kwargs["fields"] = ["tenant", "role"] if obj is None else ["role"]
        return super().get_form(request, obj, change=change, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete", obj)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        member = self.own(request, unquote(object_id))
        named = {"heading": f"{member.user} · {member.tenant}"}
        return super().change_view(request, object_id, form_url, {**named, **(extra_context or {})})

    @admin.display(description=gettext_lazy("role"), ordering="role")
    def role_word(self, row: Member) -> str:
        return str(row.get_role_display())

    @admin.display(description=gettext_lazy("since"), ordering="created_at")
    def created(self, row: Member) -> SafeString:
        return ago(row.created_at)
