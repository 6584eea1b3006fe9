"""Templates in the admin: a draft is written with a live preview beside it, then published; versions never change."""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import TenantAdmin, signed_in
from messaging.actions import Action
from messaging.admin.fields import Decoder, PrettyJSONField
from messaging.admin.preview import html_document
from messaging.channels.channel import refusal_of
from messaging.content import editing, templates
from messaging.labels import TemplateState
from messaging.models import Template, TemplateVersion
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge

State = TemplateVersion.State
WORDING = ("subject", "body", "html", "variables")


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template and the wording of its draft."""

    subject = forms.CharField(
        label=gettext_lazy("subject"), required=False, max_length=998, help_text=gettext_lazy("E-mail, and channels that show a title.")
    )
    body = forms.CharField(
        label=gettext_lazy("text"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "code"}),
        help_text=gettext_lazy(
            "Liquid, for example: Your code is {{ code }}. In e-mails {{ unsubscribe_url }} is the recipient's unsubscribe link."
        ),
    )
    html = forms.CharField(
        label=gettext_lazy("HTML"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 8, "class": "code"}),
        help_text=gettext_lazy("E-mail only. Sanitised. If the text is empty, it is generated from the HTML."),
    )
    variables = PrettyJSONField(
        label=gettext_lazy("variables"),
        required=False,
        initial=list,
        rows=6,
        help_text=gettext_lazy('A list of {"name", "required", "example"}; a message that lacks a required variable is refused.'),
    )

    class Meta:
        model = Template
        fields = ["tenant", "name", "channel", "category", "description", "is_archived"]
        help_texts = {"name": gettext_lazy("The name callers use in `template`.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "channel" in self.fields:
            field: Any = self.fields["channel"]
            field.choices = [(code, label) for code, label in field.choices if not refusal_of(code)]
        if "variables" in self.fields and not self.is_bound:
            current = latest(self.instance) if self.instance.pk else None
            for name in WORDING:
                self.initial[name] = getattr(current, name) if current else [] if name == "variables" else ""

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        variables = values.get("variables")
        variables = [] if variables is None else variables
        channel = values.get("channel") or self.instance.channel
        if "variables" in self.errors or not channel:
            return values
        if not isinstance(variables, list):
            self.add_error("variables", _("Enter a JSON list: […]."))
            return values
        values["variables"] = variables
        try:
            templates.check_wording(
                channel=channel,
                subject=values.get("subject", ""),
                body=values.get("body", ""),
                html=values.get("html", ""),
                variables=variables,
            )
        except Invalid as problem:
            for error in problem.errors:
                place = str(error["field"])
                name = place.partition("[")[0]
                self.add_error(
                    name if name in self.fields else None, str(error["message"]) if place == name else f"{place}: {error['message']}"
                )
        return values


def latest(template: Template) -> TemplateVersion | None:
    """Return what an author goes on from: the draft, or else the newest version."""
    versions = template.versions.order_by("-number")
    return versions.filter(state=State.DRAFT).first() or versions.filter(state=State.PUBLISHED).first() or versions.first()


@admin.register(Template)
class TemplateAdmin(TenantAdmin):
    """Named texts, in versions."""

    audit_actions = tuple(action for action in Action if action.startswith("template."))
    saves_by_service = True
    purpose = gettext_lazy("Named texts for messages. You edit a draft; a published version never changes.")
    empty_text = gettext_lazy("With a template, calling systems send only its name and variables, not the wording.")
    first_step = (gettext_lazy("Write a template"), "admin:messaging_template_add")
    form = TemplateForm
    change_form_template = "admin/messaging/template/form.html"
    list_display = ["name", "channel", "state", "published_number", "draft_waiting", "description", "tenant", "changed"]
    list_filter = ["channel", "is_archived"]
    list_select_related = ["tenant"]
    search_fields = ["name", "description"]
    search_help_text = gettext_lazy("Name or description.")
    ordering = ["name"]
    fieldsets = [
        (None, {"fields": ["tenant", ("name", "channel"), "category", "description", "is_archived"]}),
        (gettext_lazy("Draft"), {"fields": ["subject", "body", "html", "variables"]}),
    ]

    class Media:
        js = ["js/preview.js"]

    def audit_targets(self, obj: Template) -> list[str]:
        return [obj.name]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Template]":
        versions = TemplateVersion.objects.filter(template=OuterRef("pk"))
        rows: QuerySet[Template] = super().get_queryset(request)
        return rows.annotate(
            live_number=Subquery(versions.filter(state=State.PUBLISHED).values("number")[:1]),
            draft_number=Subquery(versions.filter(state=State.DRAFT).values("number")[:1]),
        )

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view
        own = [
            path("preview/", view(require_POST(self.live_preview)), name=self.url_name("live_preview")),
            path("preview/html/", view(require_POST(self.live_html)), name=self.url_name("live_html")),
            path("<int:pk>/publish/", view(require_POST(self.publish)), name=self.url_name("publish")),
        ]
        return own + super().get_urls()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The wording's fields are the form's own; Django would look for them in the model.
        kwargs["fields"] = (
            ["tenant", "name", "channel", "category", "description", "is_archived"]
            if obj is None
            else ["category", "description", "is_archived"]
        )
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Callers name it and messages were checked against its channel: neither changes later.
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "name", "channel"] if obj else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is None or self.has_change_permission(request, obj) else self.fieldsets[:1]

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        by, values = Actor.of_request(request), form.cleaned_data
        wording = {name: values[name] for name in WORDING}
        if not change:
            editing.create_template(template=obj, wording=wording, by=by)
            return
        if described := {name: values[name] for name in form.changed_data if name not in WORDING}:
            editing.change_template(template=obj, changes=described, by=by)
        current = latest(obj)
        if current is None or any(getattr(current, name) != value for name, value in wording.items()):
            editing.save_draft(template=obj, wording=wording, by=by)

    def response_add(self, request: HttpRequest, obj: Template, post_url_continue: Any = None) -> HttpResponse:
        return self._after(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Template) -> HttpResponse:
        return self._after(request, obj) or super().response_change(request, obj)

    def _after(self, request: HttpRequest, obj: Template) -> HttpResponse | None:
        if "_publish" not in request.POST:
            return None
        self._publish(request, obj)
        return HttpResponseRedirect(self.here(obj))

    def publish(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Publish the saved draft."""
        template = self.own(request, str(pk), change=True)
        self._publish(request, template)
        return HttpResponseRedirect(self.here(template))

    def _publish(self, request: HttpRequest, template: Template) -> None:
        try:
            version = editing.publish_draft(template=template, by=Actor.of_request(request))
        except (Conflict, Invalid) as problem:
            self.message_user(request, problem_text(problem), messages.ERROR)
        else:
            self.message_user(request, _("Version {number} is published: new messages use it.").format(number=version.number))

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        context["purpose"] = self.purpose
        if obj is not None:
            context["versions"] = obj.versions.order_by("-number")[:50]
            context["has_draft"] = obj.versions.filter(state=State.DRAFT).exists()
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    # --- preview of what is being written --------------------------------------------------------------------

    def _written(self, request: HttpRequest) -> TemplateVersion:
        """Build an unsaved version from the fields of the form.

        Raises:
            Invalid: the variables are not valid JSON.
        """
        if not signed_in(request).has_perm("messaging.view_template"):
            raise Http404
        channel = request.POST.get("channel", "")
        variables = request.POST.get("variables", "") or "[]"
        try:
            declared = json.loads(variables, cls=Decoder)
        except ValueError:
            raise Invalid.field("variables", _("Not valid JSON yet.")) from None
        if not isinstance(declared, list) or not all(isinstance(v, dict) and isinstance(v.get("name"), str) for v in declared):
            raise Invalid.field("variables", _("Enter a JSON list: […]."))
        wording = {name: request.POST.get(name, "")[:100_000] for name in ("subject", "body", "html")}
        return TemplateVersion(template=Template(channel=channel), variables=declared, **wording)

    def live_preview(self, request: HttpRequest) -> HttpResponse:
        """Render what is being written, with its examples."""
        try:
            shown = templates.preview(version=self._written(request), variables={})
        except Invalid as problem:
            return JsonResponse({"problem": problem_text(problem)})
        sms = shown.get("sms")
        line = ""
        if sms:
            line = ngettext(
                "{segments} SMS segment · {units} units · {encoding}",
                "{segments} SMS segments · {units} units · {encoding}",
                sms["segments"],
            ).format(**sms)
        return JsonResponse({"subject": shown["subject"], "body": shown["body"], "sms": line, "has_html": bool(shown["html"])})

    def live_html(self, request: HttpRequest) -> HttpResponse:
        """Return the HTML of what is being written as a document that can do nothing."""
        try:
            return html_document(templates.preview(version=self._written(request), variables={})["html"])
        except Invalid:
            return html_document("")

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Template) -> SafeString:
        live = getattr(row, "live_number", None)
        return badge(TemplateState.ARCHIVED if row.is_archived else TemplateState.PUBLISHED if live else TemplateState.UNPUBLISHED)

    @admin.display(description=gettext_lazy("published version"))
    def published_number(self, row: Template) -> str:
        number = getattr(row, "live_number", None)
        return f"v{number}" if number else NOTHING

    @admin.display(description=gettext_lazy("draft waiting"))
    def draft_waiting(self, row: Template) -> str:
        number = getattr(row, "draft_number", None)
        return f"v{number}" if number else NOTHING

    @admin.display(description=gettext_lazy("changed"), ordering="updated_at")
    def changed(self, row: Template) -> SafeString:
        return ago(row.updated_at)
