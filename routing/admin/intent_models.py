"""Versions of intent models in the admin: trained, measured, compared, activated."""

import re
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from accounts.labels import Activity
from accounts.selectors import active_tenants, no_tenants
from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from accounts.staff.tenant_admin import ReadOnly, own_tenants
from posthaste.lib.problems import Conflict, Invalid
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, percent, share_bar, thousands, two_lines
from routing.actions import Action
from routing.admin.model_report import report_of
from routing.admin.wording import actors_in_words
from routing.intents import training, training_run, versions
from routing.models import IntentModel, ModelState

#: What the training process says with a number in it, which is translated here.
PARTS = re.compile(r"Cross-validation, part (?P<part>\d+) of (?P<parts>\d+)")
REASONS = {
    training.INTERRUPTED: gettext_lazy("The worker that trained it is gone. Train again."),
    training_run.TIMED_OUT: gettext_lazy("It took more than an hour. Train with fewer utterances."),
    training_run.WORKER_STOPS: gettext_lazy("The worker that trained it was stopped. Train again."),
}


class TrainForm(forms.Form):
    """What is asked before a version is trained."""

    tenant = forms.ModelChoiceField(no_tenants(), label=gettext_lazy("tenant"), empty_label=None)
    activates_if_better = forms.BooleanField(
        label=gettext_lazy("activate if better"),
        required=False,
        help_text=gettext_lazy("Activate it at once if it is right more often on the held-out texts than the active version."),
    )


@admin.register(IntentModel)
class IntentModelAdmin(ReadOnly):
    """Versions of a tenant's model."""

    audit_actions = (Action.MODEL_TRAIN, Action.MODEL_CANCEL, Action.MODEL_ACTIVATE)
    purpose = gettext_lazy("What recognizes the intents of texts. Each version is measured on texts that it was not trained with.")
    empty_text = gettext_lazy("Until a version is active, the starting model that comes with Posthaste recognizes texts.")
    first_step = (gettext_lazy("Train a version"), "admin:routing_intentmodel_add")
    list_display = ["version", "state_badge", "active", "accuracy", "scope_recall", "trained_with", "tenant", "created"]
    list_display_links = ["version"]
    exported = (
        "id",
        "tenant",
        "number",
        "state",
        "is_active",
        "sha256",
        "error",
        "created_by",
        "created_at",
        "finished_at",
        "activated_at",
    )
    figure_columns = ("accuracy", "scope_recall", "trained_with")
    list_filter = ["state", "is_active"]
    list_select_related = ["tenant"]
    ordering = ["-id"]
    sortable_by = ["created"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[IntentModel]) -> None:
        """Look up who created the versions on the page."""
        names = actors_in_words(request, (row.created_by for row in rows))
        for row in rows:
            row.by_shown = names.get(row.created_by, "")  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[IntentModel]":
        return super().get_queryset(request).defer("artefact")

    def get_urls(self) -> Any:
        own = [path("<uuid:pk>/do/<slug:verb>/", self.admin_site.admin_view(require_POST(self.do)), name=self.url_name("do"))]
        return own + super().get_urls()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "add", None)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Intent models"), **(extra_context or {})})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = TrainForm(request.POST or None)
        form.fields["tenant"].queryset = active_tenants(own_tenants(request, at_least=self.least))  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            try:
                model = training.start_training(
                    tenant_id=values["tenant"].pk,
                    activates_if_better=values["activates_if_better"],
                    by=Actor.of_request(request),
                    now=timezone.now(),
                )
            except (Conflict, Invalid) as problem:
                form.add_error(None, problem_text(problem))
            else:
                return HttpResponseRedirect(self.here(model))
        status = 422 if form.errors else 200
        return self.page(request, "add", form=form, status=status, title=_("Train a version"), list_title=_("Intent models"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        model: IntentModel = self.own(request, unquote(object_id))
        active = IntentModel.objects.filter(tenant_id=model.tenant_id, is_active=True).only("number").first()
        return self.page(
            request,
            "detail",
            model,
            title=_("Version {number}").format(number=model.number),
            list_title=_("Intent models"),
            purpose=_("How often this version recognizes the right intent, measured on texts that it was not trained with."),
            is_training=model.state == ModelState.TRAINING,
            progress=_progress(model),
            progress_percent=_done_percent(model),
            created_by=actors_in_words(request, [model.created_by]).get(model.created_by, ""),
            reason=in_words(model.error),
            report=report_of(model),
            is_older=active is not None and model.number < active.number,
            may_operate=self.has_operate_permission(request, model),
        )

    def do(self, request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
        """Activate a version, or cancel its training."""
        if verb not in ("activate", "cancel"):
            raise Http404
        model: IntentModel = self.own(request, str(pk), change=True)
        by, now = Actor.of_request(request), timezone.now()
        try:
            if verb == "activate":
                versions.activate_model(model=model, by=by, now=now)
                told = _("Version {number} is active: texts are recognized with it within a second.").format(number=model.number)
            else:
                training.cancel_training(model=model, by=by, now=now)
                told = _("The training is being cancelled.")
            self.message_user(request, told)
        except Conflict as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
        return self.back(request, model)

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("version"))
    def version(self, row: IntentModel) -> str:
        return str(row)

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, row: IntentModel) -> SafeString:
        shown = badge(ModelState(row.state))
        if row.state != ModelState.TRAINING:
            return shown
        return format_html(
            '{} <span class="progress">{}<span class="figure">{} %</span></span>', shown, share_bar(_done_percent(row)), _done_percent(row)
        )

    @admin.display(description=gettext_lazy("active"))
    def active(self, row: IntentModel) -> SafeString | str:
        return badge(Activity.of(True)) if row.is_active else NOTHING

    @admin.display(description=gettext_lazy("accuracy"))
    def accuracy(self, row: IntentModel) -> str:
        return _percent(row.evaluation.get("accuracy"))

    @admin.display(description=gettext_lazy("out-of-scope recall"))
    def scope_recall(self, row: IntentModel) -> str:
        return _percent((row.evaluation.get("out_of_scope") or {}).get("recall"))

    @admin.display(description=gettext_lazy("trained with"))
    def trained_with(self, row: IntentModel) -> str:
        return thousands(row.evaluation["trained_with"]) if row.evaluation.get("trained_with") else NOTHING

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def created(self, row: IntentModel) -> SafeString:
        return two_lines(ago(row.created_at), getattr(row, "by_shown", row.created_by) or NOTHING)


def in_words(error: str) -> str:
    """Say why a training failed."""
    return str(REASONS.get(error) or (_(error) if error else ""))


def _progress(model: IntentModel) -> str:
    if model.lease_token is None:
        return _("Waits for a worker")
    if model.cancel_requested:
        return _("is being cancelled")
    if found := PARTS.fullmatch(model.progress_note):
        return _("Cross-validation, part {part} of {parts}").format(**found.groupdict())
    return _(model.progress_note) if model.progress_note else _("Begins")


def _done_percent(model: IntentModel) -> int:
    return round(100 * model.progress_done / model.progress_total) if model.progress_total else 0


def _percent(share: float | None) -> str:
    return percent(None if share is None else round(100 * share, 1))
