"""Entrances in the admin: where customers write, what to enter at WeCom, and whether the connection works."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from posthaste import env
from posthaste.lib.problems import TooMany
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import ago, badge, facts
from routing.actions import Action
from routing.admin import contact_ways  # noqa: F401 - its pages
from routing.admin.entrance_forms import WHAT_IT_IS, WHAT_TO_DO, EntranceForm, fields_of, form_for
from routing.admin.outcomes import DeletedByService
from routing.entrances import editing, registry, selectors
from routing.entrances.callbacks import address_of
from routing.labels import EntranceState
from routing.models import Conversation, Entrance, EntranceKind


def asked_kind(request: HttpRequest) -> str:
    """Return the kind that is to be added."""
    return str(request.POST.get("kind") or request.GET.get("kind", ""))


def help_address(entrance: Entrance) -> str:
    """Return where the pages of a portal are."""
    return env.load().public_url.rstrip("/") + reverse("help-home", args=[entrance.settings.get("slug") or entrance.pk])


@admin.register(Entrance)
class EntranceAdmin(DeletedByService):
    """Where customers write."""

    purpose = gettext_lazy("Customers write through entrances: the chat of a site, WeCom, a mailbox, or another system.")
    empty_text = gettext_lazy("Customers can't write yet. Start with the entrance that they use most.")
    first_step = (gettext_lazy("Add an entrance"), "admin:routing_entrance_add")
    rows_word = gettext_lazy("entrances")
    audit_actions = tuple(action for action in Action if action.startswith("entrance."))
    form = EntranceForm
    change_form_template = "admin/routing/entrance/form.html"
    list_display = ["name", "state", "kind", "tenant", "created"]
    list_filter = ["kind", "is_enabled"]
    list_select_related = ["tenant"]
    search_fields = ["name"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Entrance]":
        rows = super().get_queryset(request)
        # Nothing is decrypted for a list.
        listing = request.resolver_match is not None and request.resolver_match.url_name == self.url_name("changelist")
        return rows.defer("secrets", "settings") if listing else rows

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        return [path("<uuid:pk>/test/", view(require_POST(self.test)), name=self.url_name("test")), *super().get_urls()]

    # --- form ------------------------------------------------------------------------------------------------

    @staticmethod
    def _kind(request: HttpRequest, obj: Entrance | None) -> registry.Kind:
        code = str(obj.kind) if obj is not None else asked_kind(request)
        return registry.KINDS.get(code) or registry.KINDS[EntranceKind.PORTAL]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for the kind first: the fields depend on it."""
        if asked_kind(request) not in registry.KINDS and self.has_add_permission(request):
            kinds = [(code, kind.title, WHAT_IT_IS.get(code, "")) for code, kind in registry.KINDS.items()]
            return self.page(request, "choose", title=_("Add an entrance"), kinds=kinds, list_title=_("Entrances"))
        heading = _("Add an entrance: {kind}").format(kind=self._kind(request, None).title)
        return super().add_view(request, form_url, {"heading": heading, "title": heading, **(extra_context or {})})

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["fields"] = [name for name in EntranceForm.Meta.fields if not (obj and name == "tenant")]
        return super().get_form(request, obj, change=change, form=form_for(self._kind(request, obj)), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ["tenant", "name", "kind_shown", "is_enabled", "settings_shown"]})]
        settings, secrets = fields_of(self._kind(request, obj))
        kind = ["kind_shown"] if obj is not None else []  # a new one has it in the heading
        own: list[Any] = [(None, {"fields": ["tenant", "name", *kind, "is_enabled"]})]
        own += [(_("Settings"), {"fields": settings})] if settings else []
        return [*own, (_("Secrets"), {"fields": secrets})] if secrets else own

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), "kind_shown", "settings_shown"]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {name: value for name, value in super().get_changeform_initial_data(request).items() if name != "kind"}

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        entrance = super().save_form(request, form, change)
        if not change:
            entrance.kind = form.kind.code
        return entrance

    def save_model(self, request: HttpRequest, obj: Entrance, form: Any, change: bool) -> None:
        given: dict[str, Any] = {"settings": form.new_settings, "secrets": form.new_secrets, "by": Actor.of_request(request)}
        if change:
            editing.change_entrance(entrance=obj, fields=form.changed_data, **given)
        else:
            obj.created_at = timezone.now()
            editing.create_entrance(entrance=obj, **given)

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            context.update(address=address_of(obj.pk), what_to_do=WHAT_TO_DO.get(obj.kind, ""), mailbox=selectors.mailbox_of(obj.pk))
            context.update(cursors=list(obj.kf_cursors.order_by("open_kfid")[:20]))
            if obj.kind == EntranceKind.PORTAL:
                portal = help_address(obj)
                context.update(portal=portal, embed=f'<script src="{portal}widget.js" async></script>')
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    # --- delete, test ----------------------------------------------------------------------------------------

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the entrances alone; one with conversations is protected by them."""
        held = [str(obj) for obj in objs if Conversation.objects.filter(entrance=obj).exists()]
        return [str(obj) for obj in objs], {self.opts.verbose_name_plural: len(objs)}, set(), held

    def delete_model(self, request: HttpRequest, obj: Entrance) -> None:
        editing.delete_entrance(entrance=obj, by=Actor.of_request(request))

    def test(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Connect to the system behind an entrance, and show what it said."""
        entrance: Entrance = self.own(request, str(pk), change=True)
        try:
            found = editing.probe(entrance=entrance, by=Actor.of_request(request))
        except TooMany as problem:
            self.message_user(request, problem_text(problem), messages.ERROR)
        else:
            self.message_user(request, found.detail, messages.SUCCESS if found.ok else messages.ERROR)
        return self.back(request, entrance)

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("state"), ordering="is_enabled")
    def state(self, row: Entrance) -> SafeString:
        return badge(EntranceState.ENABLED if row.is_enabled else EntranceState.DISABLED)

    @admin.display(description=gettext_lazy("kind"))
    def kind_shown(self, row: Entrance) -> str:
        return str(row.get_kind_display()) if row.kind else "–"

    @admin.display(description=gettext_lazy("settings"))
    def settings_shown(self, row: Entrance) -> SafeString:
        return facts(row.settings)

    @admin.display(description=gettext_lazy("created"), ordering="created_at")
    def created(self, row: Entrance) -> SafeString:
        return ago(row.created_at)
