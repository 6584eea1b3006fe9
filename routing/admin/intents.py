"""Intents in the admin: what customers want, with the texts that it is learned from."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.selectors import active_tenants, no_tenants
from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import TenantAdmin, own_tenants
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, language_name, percent, thousands, two_lines
from routing import references
from routing.actions import Action
from routing.admin import intent_models, utterances
from routing.admin.short_names import PrepopulatesNames, ShortNamed
from routing.admin.wording import title_of
from routing.intents import editing, reading, starting_rows
from routing.models import Intent, Utterance, UtteranceState

__all__ = ["intent_models", "utterances"]  # registered by being imported
SHOWN = 100  # utterances on the page of an intent


class StartingSetForm(forms.Form):
    """Who gets the starting set."""

    tenant = forms.ModelChoiceField(no_tenants(), label=gettext_lazy("tenant"), empty_label=None)


class IntentForm(ShortNamed):
    """An intent: a short name or a title, of which the other is made."""

    usual = "intent"

    class Meta:
        model = Intent
        fields = ["tenant", "title", "name", "title_zh", "description"]

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if "name" in self.fields and not values.get("name") and "name" not in self.errors:
            self.add_error("name", _("Enter a name or a short name."))
        return values

    def check_row(self) -> None:
        """Leave it to the service, which the page calls."""


@admin.register(Intent)
class IntentAdmin(PrepopulatesNames, TenantAdmin):
    """What customers want."""

    saves_by_service = True
    audit_actions = (Action.INTENT_CREATE, Action.INTENT_CHANGE, Action.INTENT_DELETE)
    purpose = gettext_lazy("What customers want. A model learns it from utterances, and rules send each intent to a skill group.")
    empty_text = gettext_lazy("Load the starting set for a shop or a service company, import a file, or add the first intent yourself.")
    first_step = (gettext_lazy("Load the starting set"), "admin:routing_intent_starting_set")
    change_form_template = "admin/routing/intent/form.html"
    change_list_template = "admin/routing/intent/list.html"
    list_display = ["title_shown", "accepted_shown", "languages", "held_out_shown", "suggested_shown", "f1", "tenant"]
    figure_columns = ("accepted_shown", "held_out_shown", "suggested_shown", "f1")
    list_select_related = ["tenant"]
    search_fields = ["name", "title", "title_zh"]
    list_display_links = ["title_shown"]
    search_help_text = gettext_lazy("Name or short name.")
    ordering = ["name", "id"]
    form = IntentForm
    fields = ["tenant", "title", "name", "title_zh", "description"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[Intent]) -> None:
        """Look up the languages and the figures of the active models for all intents on the page, in two queries."""
        languages = reading.by_language([row.pk for row in rows])
        active = reading.active_models({row.tenant_id for row in rows})
        f1 = {tenant_id: reading.f1_by_intent(model) for tenant_id, model in active.items()}
        for row in rows:
            row.languages = languages.get(row.pk, {})  # type: ignore[attr-defined]
            row.f1 = f1.get(row.tenant_id, {}).get(row.name)  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Intent]":
        return reading.counted(super().get_queryset(request))

    def get_urls(self) -> Any:
        own = [path("starting-set/", self.admin_site.admin_view(self.starting_set), name=self.url_name("starting_set"))]
        return own + super().get_urls()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "name"] if obj else fields  # rules and calling systems know it

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "change", obj)

    def get_actions(self, request: HttpRequest) -> Any:
        return {}  # each takes its utterances along, so each is deleted on its page

    # --- writing ---------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change=change, **kwargs)
        if "description" in made.base_fields:
            made.base_fields["description"].widget.attrs["class"] = "vLargeTextField"
        if "title" in made.base_fields:
            made.base_fields["title"].required = False
            made.base_fields["title"].help_text = _("Empty: the short name in words.")
        if "name" in made.base_fields:
            made.base_fields["name"].validators.append(_not_reserved)
        return made

    def save_model(self, request: HttpRequest, obj: Intent, form: Any, change: bool) -> None:
        by, values = Actor.of_request(request), form.cleaned_data
        described = {name: values[name] for name in editing.DESCRIBING}
        if change:
            before = Intent.objects.get(pk=obj.pk)
            editing.change_intent(intent=before, changes={**described, "title": described["title"] or editing.title_of(obj.name)}, by=by)
            return
        made = editing.create_intent(tenant_id=obj.tenant_id, name=obj.name, **described, by=by, now=timezone.now())
        obj.pk, obj.created_at = made.pk, made.created_at

    def delete_model(self, request: HttpRequest, obj: Intent) -> None:
        editing.delete_intent(intent=obj, by=Actor.of_request(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Tell how many utterances go too; a list of thousands would say less."""
        number = Utterance.objects.filter(intent__in=[row.pk for row in objs]).count()
        counts = {self.opts.verbose_name_plural: len(objs), Utterance._meta.verbose_name_plural: number}
        return [title_of(row) for row in objs], counts, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Say which rules name the intent before it is deleted."""
        obj = self.get_object(request, object_id)
        uses = references.uses_of_intent(obj.name, obj.tenant_id) if obj is not None and self.has_view_permission(request, obj) else []
        return super().delete_view(request, object_id, {**(extra_context or {}), "uses": uses})

    def starting_set(self, request: HttpRequest) -> HttpResponse:
        """Ask whose intents get the starting set, and load it."""
        tenants = active_tenants(own_tenants(request, at_least=self.least))
        if not tenants.exists():
            raise PermissionDenied
        form = StartingSetForm(request.POST or None)
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            tenant = form.cleaned_data["tenant"]
            loaded = starting_rows.load_starting_set(tenant_id=tenant.pk, by=Actor.of_request(request), now=timezone.now())
            told = _("Loaded: {intents} intents and {utterances} utterances that were not there.").format(
                intents=thousands(loaded.intents), utterances=thousands(loaded.utterances)
            )
            self.message_user(request, told)
            return HttpResponseRedirect(reverse("admin:routing_intent_changelist"))
        status = 422 if form.errors else 200
        purpose = _(
            "Intents and utterances for the customer service of a shop and of a service company, in English and Chinese, with a trained "
            "model."
        )
        title, accuracy = _("Load the starting set"), starting_rows.evaluation().get("accuracy")
        return self.page(request, "starting_set", form=form, status=status, title=title, purpose=purpose, accuracy=_percent(accuracy))

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            rows = Utterance.objects.filter(intent=obj, state=UtteranceState.ACCEPTED)
            context["heading"] = title_of(obj)
            context |= {"utterances": rows[:SHOWN], "languages": reading.by_language([obj.pk]).get(obj.pk, {})}
            context["suggested"] = Utterance.objects.filter(intent=obj, state=UtteranceState.SUGGESTED).count()
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except (Conflict, Invalid) as problem:  # another one was faster, or there are too many
            self.message_user(request, problem_text(problem), "ERROR")
            return HttpResponseRedirect(reverse("admin:routing_intent_changelist"))

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("intent"), ordering="name")
    def title_shown(self, row: Intent) -> SafeString:
        return two_lines(title_of(row), row.name)

    @admin.display(description=gettext_lazy("utterances"))
    def accepted_shown(self, row: Intent) -> SafeString:
        address = f"{reverse('admin:routing_utterance_changelist')}?intent={row.pk}&state={UtteranceState.ACCEPTED}"
        return format_html('<a href="{}">{}</a>', address, thousands(row.accepted))  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("languages"))
    def languages(self, row: Intent) -> SafeString | str:
        found = getattr(row, "languages", {})
        parts = ((language_name(code) or "–", thousands(number)) for code, number in list(found.items())[:4])
        return format_html_join(" · ", '{} <span class="figure">{}</span>', parts) if found else NOTHING

    @admin.display(description=gettext_lazy("held out"))
    def held_out_shown(self, row: Intent) -> str:
        return thousands(row.held_out)  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("suggested"))
    def suggested_shown(self, row: Intent) -> str:
        return thousands(row.suggested)  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("F1 of the active model"))
    def f1(self, row: Intent) -> str:
        return _percent(getattr(row, "f1", None))


def _percent(share: float | None) -> str:
    return percent(None if share is None else round(100 * share, 1))


def _not_reserved(name: str) -> None:
    try:
        editing.check_name(name)
    except Invalid as problem:
        raise forms.ValidationError(problem.errors[0]["message"]) from None
