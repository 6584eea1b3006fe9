"""Contact ways in the admin: QR codes by which customers add employees, and what became of their welcome messages."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import TenantAdmin, own_rows
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, thousands, two_lines
from routing.actions import Action
from routing.entrances import selectors
from routing.entrances.wecom_contact import ways
from routing.models import ContactWay, Entrance, EntranceKind, SkillGroup, Welcome

LATEST = 10


class ContactWayForm(forms.ModelForm):  # type: ignore[type-arg]
    """A contact way; the service makes it at WeCom, so what WeCom refuses is told here."""

    users = forms.CharField(
        label=gettext_lazy("employees"),
        widget=forms.Textarea(attrs={"rows": 3, "class": "code"}),
        help_text=gettext_lazy("User IDs, one per line. With several, WeCom takes one of them."),
    )
    tags = forms.CharField(
        label=gettext_lazy("tags"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=gettext_lazy("Given to customers who come this way, one per line."),
    )

    class Meta:
        model = ContactWay
        fields = ["entrance", "name", "state", "users", "group", "tags", "welcome"]
        widgets = {"welcome": forms.Textarea(attrs={"rows": 3})}

    #: What WeCom refused, as field and message.
    refused: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("users", "tags"):
            if name in self.fields:
                self.initial[name] = "\n".join(getattr(self.instance, name) or [])

    def clean_users(self) -> list[str]:
        return _listed(self.cleaned_data["users"])

    def clean_tags(self) -> list[str]:
        return _listed(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        entrance, group = values.get("entrance"), values.get("group")
        owner = entrance.tenant_id if entrance else self.instance.tenant_id
        if group is not None and group.tenant_id != owner:
            self.add_error("group", _("There is no such skill group."))
        for field, message in self.refused:
            self.add_error(field if field in self.fields else None, message)
        return values


def _listed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@admin.register(ContactWay)
class ContactWayAdmin(TenantAdmin):
    """QR codes by which customers add employees."""

    purpose = gettext_lazy("Customers scan a QR code to add an employee in WeCom. Its state tells where they came from and routes them.")
    empty_text = gettext_lazy("There are no contact ways yet. They need an entrance of the kind WeCom contacts.")
    first_step = (gettext_lazy("Add a contact way"), "admin:routing_contactway_add")
    first_entrance = (gettext_lazy("Add an entrance"), "admin:routing_entrance_add")
    rows_word = gettext_lazy("contact ways")
    audit_actions = tuple(action for action in Action if action.startswith("contact_way."))
    saves_by_service = True
    form = ContactWayForm
    change_form_template = "admin/routing/contactway/form.html"
    list_display = ["name", "state", "employees", "group", "qr_link", "welcomes_sent", "tenant", "created"]
    figure_columns = ("welcomes_sent",)
    list_filter = ["entrance"]
    list_select_related = ["tenant", "group"]
    search_fields = ["name", "state"]
    ordering = ["name"]
    actions = None

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ContactWay]":
        return selectors.with_welcomes(super().get_queryset(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether there is an entrance that one can be added to."""
        if not super().has_add_permission(request):
            return False
        rows = Entrance.objects.filter(kind=EntranceKind.WECOM_CONTACT)
        return own_rows(request, rows, at_least=self.least).exists()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = dict(extra_context or {})
        if not self.has_add_permission(request) and request.user.has_perm("routing.add_entrance"):
            label, name = self.first_entrance
            context["first_step"] = {"label": label, "url": f"{reverse(name)}?kind={EntranceKind.WECOM_CONTACT}"}
        return super().changelist_view(request, context)

    def get_list_filter(self, request: HttpRequest) -> Any:
        return [name for name in super().get_list_filter(request) if name != "entrance"]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "entrance":
            kwargs["queryset"] = Entrance.objects.filter(kind=EntranceKind.WECOM_CONTACT).defer("secrets")
        if db_field.name == "group":
            kwargs["queryset"] = own_rows(request, SkillGroup.objects.all())
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "group" and field is not None:
            field.empty_label = _("By the rules")
        return field

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["entrance", "name", "state", "users", "group", "tags", "welcome"]
        if obj is None or self.has_change_permission(request, obj):
            return fields
        return ["entrance", "name", "state", "employees", "group", "welcome"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = [name for name in super().get_readonly_fields(request, obj) if name != "tenant"]
        return [*fixed, "employees"] if obj is None else [*fixed, "employees", "entrance", "state"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # `users` and `tags` are fields of the form, written one per line, that stand for columns of JSON.
        kwargs["fields"] = [name for name in ContactWayForm.Meta.fields if not (obj and name in ("entrance", "state"))]
        made = super().get_form(request, obj, change=change, **kwargs)
        return type(made.__name__, (made,), {"refused": getattr(request, "refused", [])})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Check and save without the transaction that Django puts around both, as WeCom is called in between.

        What WeCom refuses is shown in the form, which keeps what was filled in.
        """
        try:
            answer: HttpResponse = self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]
        except Problem as problem:
            request.refused = _said(problem)  # type: ignore[attr-defined]
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined,no-any-return]
        return answer

    def save_model(self, request: HttpRequest, obj: ContactWay, form: Any, change: bool) -> None:
        by = Actor.of_request(request)
        values = {name: form.cleaned_data[name] for name in form.cleaned_data if name in (*ways.FIELDS, "state")}
        if change:
            changed = {name: value for name, value in values.items() if name in form.changed_data}
            ways.change_contact_way(way=obj, values=changed, by=by)
        else:
            made = ways.create_contact_way(entrance=obj.entrance, values=values, by=by, now=timezone.now())
            obj.pk, obj.tenant_id = made.pk, made.tenant_id

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "delete", obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        number = Welcome.objects.filter(contact_way__in=[obj.pk for obj in objs]).count()
        counts = {self.opts.verbose_name_plural: len(objs), Welcome._meta.verbose_name_plural: number}
        return [str(obj) for obj in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: ContactWay) -> None:
        ways.delete_contact_way(way=obj, by=Actor.of_request(request))

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            context["welcomes"] = list(Welcome.objects.filter(contact_way=obj).order_by("-pk")[:LATEST])
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("employees"))
    def employees(self, row: ContactWay) -> str:
        return ", ".join(row.users[:5]) + (" …" if len(row.users) > 5 else "")

    @admin.display(description=gettext_lazy("QR code"))
    def qr_link(self, row: ContactWay) -> SafeString | str:
        if not row.qr_code.startswith(("http://", "https://")):
            return NOTHING
        return format_html('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>', row.qr_code, _("Open the QR code"))

    @admin.display(description=gettext_lazy("welcomed"))
    def welcomes_sent(self, row: Any) -> SafeString | str:
        lost = row.welcomes_late + row.welcomes_failed
        sent = thousands(row.welcomes_sent)
        return two_lines(sent, _("{n} not sent").format(n=lost)) if lost else sent

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, row: ContactWay) -> SafeString:
        return ago(row.created_at)


def _said(problem: Problem) -> list[tuple[str, str]]:
    """Return what a problem says by field."""
    return [(str(error["field"]), str(error["message"])) for error in problem.errors] or [("", problem_text(problem))]
