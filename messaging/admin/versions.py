"""Versions of templates in the admin: previewed with any values, compared with the one before."""

import json
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff import actors
from accounts.staff.tenant_admin import ReadOnly
from messaging.admin.fields import Decoder, PrettyJSONField
from messaging.admin.preview import html_document
from messaging.content import templates
from messaging.models import TemplateVersion
from posthaste.lib.line_differences import diff
from posthaste.lib.problems import Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import ago, badge


class VersionForm(forms.Form):
    """Values to try a version with."""

    variables = PrettyJSONField(label=gettext_lazy("variables"), rows=8)


@admin.register(TemplateVersion)
class TemplateVersionAdmin(ReadOnly):
    """Wordings, as they were published."""

    purpose = gettext_lazy("All versions of all templates. A message keeps the version it was accepted with.")
    tenant_column = ""
    list_display = ["title", "state_badge", "channel", "author", "created", "published"]
    list_display_links = ["title"]
    list_filter = ["state"]
    list_select_related = ["template"]
    search_fields = ["template__name"]
    search_help_text = gettext_lazy("Name of the template.")
    ordering = ["-id"]

    def get_urls(self) -> Any:
        own = [path("<int:pk>/html/", self.admin_site.admin_view(self.html), name=self.url_name("html"))]
        return own + super().get_urls()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        version = self.own(request, unquote(object_id))
        variables = templates.examples(version)
        form = VersionForm(
            {"variables": request.GET["variables"]} if "variables" in request.GET else None, initial={"variables": variables}
        )
        if form.is_bound and form.is_valid() and isinstance(form.cleaned_data["variables"], dict):
            variables = form.cleaned_data["variables"]
        shown, problem = None, ""
        try:
            shown = templates.preview(version=version, variables=variables)
        except Invalid as error:
            problem = problem_text(error)
        html_url = f"{reverse('admin:messaging_templateversion_html', args=[version.pk])}?{_query(variables)}"
        return self.page(
            request,
            "detail",
            version,
            title=str(version),
            shown=shown,
            problem=problem,
            form=form,
            html_url=html_url,
            changes=_changes(version),
            declared=json.dumps(version.variables, indent=2, ensure_ascii=False),
        )

    def html(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Return a version's HTML as a document that can do nothing."""
        version = self.own(request, str(pk))
        try:
            variables = json.loads(request.GET.get("variables", "{}"), cls=Decoder)
            return html_document(templates.preview(version=version, variables=variables if isinstance(variables, dict) else {})["html"])
        except (Invalid, ValueError):
            return html_document("")

    @admin.display(description=gettext_lazy("version"))
    def title(self, row: TemplateVersion) -> SafeString:
        return format_html("{} v{}", row.template.name, row.number)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: TemplateVersion) -> SafeString:
        return badge(TemplateVersion.State(row.state))

    @admin.display(description=gettext_lazy("author"))
    def author(self, row: TemplateVersion) -> SafeString:
        return actors.shown(row.created_by, {})

    @admin.display(description=gettext_lazy("channel"))
    def channel(self, row: TemplateVersion) -> str:
        return str(row.template.get_channel_display())

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def created(self, row: TemplateVersion) -> SafeString:
        return ago(row.created_at)

    @admin.display(description=gettext_lazy("published"))
    def published(self, row: TemplateVersion) -> SafeString:
        return ago(row.published_at)


_SIGNS = {"same": "", "removed": "-", "added": "+", "gap": "⋯"}


def _query(variables: dict[str, Any]) -> str:
    return urlencode({"variables": json.dumps(variables, ensure_ascii=False)})


def _changes(version: TemplateVersion) -> list[dict[str, Any]]:
    """Return the differences from the previous version, line by line."""
    before = version.template.versions.filter(number__lt=version.number).order_by("-number").first()
    if before is None:
        return []
    found = []
    for name, label in (("subject", _("Subject")), ("body", _("Text")), ("html", _("HTML"))):
        old, new = getattr(before, name), getattr(version, name)
        if old != new:
            lines = [{"sign": _SIGNS[line.kind], "text": line.text} for line in diff(old, new)]
            found.append({"label": label, "lines": lines, "before": before.number})
    return found
