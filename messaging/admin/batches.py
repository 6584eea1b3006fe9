"""Batches in the admin: how far they are, and pausing, resuming, cancelling them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.lists import Rows, as_uuid
from accounts.staff.tenant_admin import ReadOnly, own_rows
from messaging import selectors
from messaging.actions import Action
from messaging.admin.filters import AcceptedFilter
from messaging.admin.message_trace import link_for
from messaging.explain import batch as explain
from messaging.labels import batch_badge
from messaging.models import Batch, BatchStatus, Status
from messaging.queueing import operate
from messaging.storage.unreadable import readable
from posthaste.lib.problems import Conflict
from posthaste.ui.confirmation import MAX_AT_ONCE, confirm
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import ago, moment, percent, state_bar, thousands, two_lines
from tracing.labels import Node

NODES = {"until_sent": gettext_lazy("From due to sent")}
OPEN = (BatchStatus.RUNNING, BatchStatus.PAUSED)
#: Verb → states it applies to.
VERBS: dict[str, tuple[str, ...]] = {"pause": (BatchStatus.RUNNING,), "resume": (BatchStatus.PAUSED,), "cancel": OPEN}


@admin.register(Batch)
class BatchAdmin(ReadOnly):
    """Messages handed over in one call."""

    purpose = gettext_lazy("Messages submitted in one call, with the progress and results of each batch.")
    empty_text = gettext_lazy("Batches appear here when a system submits up to 10,000 recipients with POST /api/messages/batch.")
    list_display = ["title", "state", "progress", "accepted_shown", "failed", "way", "tenant", "created"]
    list_display_links = ["title"]
    exported = (
        "id_exported", "tenant", "name", "channel", "priority", "status", "accepted", "rejected", "dropped", "failed_exported",
        "unknown_exported", "progress_exported", "send_at", "created_at", "finished_at",
    )  # fmt: skip
    figure_columns = ("accepted_shown", "failed")
    has_panel = True
    list_filter = ["status", AcceptedFilter, "channel"]
    list_select_related = ["tenant"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Batch ID, or the start of its name.")
    actions = ["pause", "resume", "cancel"]
    ordering = ["-id"]
    audit_actions = (Action.BATCH_PAUSE, Action.BATCH_RESUME, Action.BATCH_CANCEL)
    sortable_by = ["created"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[Batch]) -> None:
        """Count the messages of all batches on the page in one query."""
        counts = selectors.batch_counts(rows)
        for batch in rows:
            batch.counts = counts[batch.pk]  # type: ignore[attr-defined]
            batch.totals = selectors.batch_summary(batch, counts[batch.pk])  # type: ignore[attr-defined]

    def get_urls(self) -> Any:
        own = [path("<uuid:pk>/do/<slug:verb>/", self.admin_site.admin_view(require_POST(self.do)), name=self.url_name("do"))]
        return own + super().get_urls()

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Batch]":
        return readable(super().get_queryset(request))

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Batch]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        identifier = as_uuid(term)
        return (queryset.filter(pk=identifier) if identifier else queryset.filter(name__startswith=term)), False

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("batch"))
    def title(self, row: Batch) -> str:
        return str(row)[:60]

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Batch) -> SafeString:
        return batch_badge(row, now=timezone.now())

    @admin.display(description=gettext_lazy("progress"))
    def progress(self, row: Batch) -> SafeString:
        totals = row.totals  # type: ignore[attr-defined]
        return format_html(
            '<span class="progress">{} <span class="figure">{}</span></span>',
            state_bar(totals["counts"], "message"),
            percent(totals["progress_percent"]),
        )

    @admin.display(description=gettext_lazy("accepted"))
    def accepted_shown(self, row: Batch) -> str:
        return thousands(row.accepted)

    @admin.display(description=gettext_lazy("failed, unknown"))
    def failed(self, row: Batch) -> str:
        counts = row.counts  # type: ignore[attr-defined]
        return thousands(counts[Status.FAILED] + counts[Status.UNKNOWN])

    @admin.display(description=gettext_lazy("ID"))
    def id_exported(self, row: Batch) -> UUID:
        return row.pk

    @admin.display(description=gettext_lazy("failed"))
    def failed_exported(self, row: Batch) -> int:
        return int(row.counts[Status.FAILED])  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("unknown"))
    def unknown_exported(self, row: Batch) -> int:
        return int(row.counts[Status.UNKNOWN])  # type: ignore[attr-defined]

    @admin.display(description=gettext_lazy("progress (%)"))
    def progress_exported(self, row: Batch) -> float | None:
        return row.totals["progress_percent"]  # type: ignore[attr-defined, no-any-return]

    @admin.display(description=gettext_lazy("channel"))
    def way(self, row: Batch) -> SafeString:
        return two_lines(row.get_channel_display(), _("priority {n}").format(n=row.priority))

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def created(self, row: Batch) -> SafeString:
        return ago(row.created_at)

    # --- one batch -------------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        batch: Batch = self.own(request, unquote(object_id))
        self.prepare(request, [batch])
        counts = batch.counts  # type: ignore[attr-defined]
        now = timezone.now()
        report = explain.report(batch, counts, now=now)
        for node in report.nodes:
            node["label"] = NODES.get(node["name"]) or Node(node["name"]).label
        return self.page(
            request,
            "detail",
            batch,
            title=str(batch)[:80],
            purpose="",
            state_html=batch_badge(batch, now=now),
            report=report,
            answer_html=report.answer.as_html(link=link_for(request), moment=moment),
            totals=batch.totals,  # type: ignore[attr-defined]
            states=[{"state": state, "number": counts[state]} for state in Status.values],
            success=counts[Status.SENT] + counts[Status.DELIVERED],
            not_begun=counts[Status.PENDING] + counts[Status.QUEUED],
            is_open=batch.status in OPEN,
            may_operate=self.has_operate_permission(request, batch),
            can={verb: batch.status in states for verb, states in VERBS.items()},
        )

    def do(self, request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
        """Pause, resume or cancel one batch."""
        if verb not in VERBS:
            raise Http404
        batch = self.own(request, str(pk), change=True)
        try:
            self.message_user(request, self._do(request, batch, verb))
        except Conflict as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
        return self.back(request, batch)

    @staticmethod
    def _do(request: HttpRequest, batch: Batch, verb: str) -> str:
        by = Actor.of_request(request)
        if verb == "pause":
            held = operate.pause_batch(batch=batch, by=by)
            return ngettext(
                "Paused. {n} message was taken back from the queue.", "Paused. {n} messages were taken back from the queue.", held
            ).format(n=held)
        if verb == "resume":
            operate.resume_batch(batch=batch, by=by)
            return _("The batch continues.")
        result = operate.cancel_batch(batch=batch, by=by, now=timezone.now())
        return _("Cancelled: {cancelled} stopped, {too_late} were too late, {unknown} unknown.").format(
            cancelled=result.cancelled, too_late=result.too_late, unknown=result.unknown
        )

    # --- many batches ----------------------------------------------------------------------------------------

    def _many(self, request: HttpRequest, queryset: "QuerySet[Batch]", verb: str) -> Callable[[], None]:
        batches = list(own_rows(request, queryset, at_least=self.least).filter(status__in=VERBS[verb])[:MAX_AT_ONCE])

        def perform() -> None:
            done = 0
            for batch in batches:
                try:
                    self._do(request, batch, verb)
                    done += 1
                except Conflict as problem:
                    self.message_user(request, f"{batch}: {problem_text(problem)}", messages.WARNING)
            self.message_user(request, ngettext("Done for {n} batch.", "Done for {n} batches.", done).format(n=done))

        perform.batches = batches  # type: ignore[attr-defined]
        return perform

    @admin.action(description=gettext_lazy("Pause"), permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: "QuerySet[Batch]") -> None:
        self._many(request, queryset, "pause")()

    @admin.action(description=gettext_lazy("Resume"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: "QuerySet[Batch]") -> None:
        self._many(request, queryset, "resume")()

    @admin.action(description=gettext_lazy("Cancel"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: "QuerySet[Batch]") -> HttpResponse | None:
        perform = self._many(request, queryset, "cancel")
        batches: list[Batch] = perform.batches  # type: ignore[attr-defined]
        counts = selectors.batch_counts(batches)
        stoppable = sum(c[Status.PENDING] + c[Status.QUEUED] for c in counts.values())
        return confirm(
            self,
            request,
            queryset,
            action="cancel",
            question=_("Cancel these batches?"),
            button=_("Cancel them"),
            ids=[batch.pk for batch in batches],
            left_out=queryset.count() - len(batches),
            perform=perform,
            consequence=_("{n} messages that have not started are stopped for good. Messages being sent continue.").format(
                n=thousands(stoppable)
            ),
        )
