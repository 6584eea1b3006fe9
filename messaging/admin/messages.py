"""Messages in the admin: found by exact id, recipient or reference; looked at with their trace; cancelled, sent again, decided."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.services.audit import Actor
from accounts.staff.tenant_admin import OwnedFilter, own_tenants
from messaging import selectors
from messaging.actions import Action
from messaging.admin import message_trace
from messaging.admin.filters import DEAD, AcceptedFilter, BatchFilter, ErrorFilter, StateFilter, TemplateFilter
from messaging.admin.message_actions import MessageActions
from messaging.admin.operations import OPERATIONS
from messaging.admin.preview import html_document
from messaging.channels.recipients import written_forms
from messaging.content import templates
from messaging.labels import MessageMark, detail_text
from messaging.models import Message, ReceiptEntry, Status
from messaging.queueing import operate
from messaging.storage import lost_content
from messaging.storage.unreadable import readable
from messaging.suppression import unsubscribe
from posthaste.lib.liquid import TemplateProblem
from posthaste.lib.problems import Conflict
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, masked, milliseconds, short_id, two_lines


@admin.register(Message)
class MessageAdmin(MessageActions):
    """Messages and what became of them."""

    purpose = gettext_lazy("Every message to every recipient, with its result.")
    empty_text = gettext_lazy("Messages appear here as soon as a system submits one with POST /api/messages/. It needs an API key.")
    first_step = None
    has_panel = True
    exported = (
        "id_exported", "tenant", "channel", "recipient_exported", "reference", "status", "error_code", "batch_exported",
        "template_exported", "provider", "attempts", "segments", "latency_ms", "is_sandbox", "created_at", "sent_at", "finished_at",
    )  # fmt: skip
    audit_actions = tuple(action for action in Action if action.startswith("message."))
    # Two lines a cell, so that a row fits an ordinary screen. `tenant` becomes `of_tenant` below `id_short`.
    list_display = ["state", "id_short", "again", "recipient_masked", "content", "carrier", "accepted", "tenant"]
    list_filter = [
        StateFilter,
        AcceptedFilter,
        "channel",
        ("provider", OwnedFilter),
        TemplateFilter,
        ErrorFilter,
        "is_sandbox",
        BatchFilter,
    ]
    list_select_related = ["tenant", "batch", "provider", "template_version__template"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("Exact message ID, trace ID, recipient or reference.")
    ordering = ["-id"]
    sortable_by = ["accepted"]

    def get_urls(self) -> Any:
        own = [
            path("<uuid:pk>/trace/", self.admin_site.admin_view(self.trace), name=self.url_name("trace")),
            path("<uuid:pk>/html/", self.admin_site.admin_view(self.html), name=self.url_name("html")),
            path("<uuid:pk>/reveal/", self.admin_site.admin_view(require_POST(self.reveal)), name=self.url_name("reveal")),
            path("<uuid:pk>/do/<slug:verb>/", self.admin_site.admin_view(require_POST(self.do)), name=self.url_name("do")),
        ]
        return own + super().get_urls()

    # --- finding ---------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Message]":
        # A list shows neither texts nor variables, which may be long.
        return readable(
            super()
            .get_queryset(request)
            .defer(
                "body",
                "variables",
                "metadata",
                "template_version__body",
                "template_version__html",
                "provider__config",
                "provider__receipt_secret",
            )
        )

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Message | None:
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            # The page needs what the list defers. Read here, a value that can't be read is set aside first.
            whole = readable(Message.objects.filter(pk=found.pk)).get()
            for field in Message._meta.concrete_fields:
                setattr(found, field.attname, getattr(whole, field.attname))
        return found

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Message]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        if identifier := selectors.as_id(term):
            return queryset.filter(Q(pk=identifier) | Q(batch_id=identifier)), False
        # Each half has an index that begins with the tenant.
        written = {term.lower(), *written_forms(term)}
        mine = Q(tenant_id__in=own_tenants(request))
        return queryset.filter((mine & Q(recipient__in=written)) | (mine & Q(reference=term) & ~Q(reference=""))), False

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("state"), ordering=None)
    def state(self, row: Message) -> SafeString:
        shown = format_html("{}{}", badge(Status(row.status)), badge(MessageMark.SANDBOX) if row.is_sandbox else "")
        if not row.error_code:
            return shown
        detail = detail_text(row.error_code, row.error_detail)
        return two_lines(shown, format_html('<code title="{0}" data-reason="{1}">{1}</code>', detail, row.error_code))

    @admin.display(description=gettext_lazy("message"))
    def id_short(self, row: Message) -> SafeString:
        return format_html('<code title="{}">{}</code>', row.pk.hex, short_id(row.pk))

    @admin.display(description=gettext_lazy("message"))
    def of_tenant(self, row: Message) -> SafeString:
        return two_lines(self.id_short(row), row.tenant.name)

    @admin.display(description=gettext_lazy("recipient"))
    def recipient_masked(self, row: Message) -> SafeString:
        return two_lines(masked(row.recipient, row.channel), row.get_channel_display())

    @admin.display(description=gettext_lazy("ID"))
    def id_exported(self, row: Message) -> UUID:
        return row.pk

    @admin.display(description=gettext_lazy("recipient"))
    def recipient_exported(self, row: Message) -> str:
        return masked(row.recipient, row.channel)

    @admin.display(description=gettext_lazy("batch"))
    def batch_exported(self, row: Message) -> UUID | None:
        return row.batch_id

    @admin.display(description=gettext_lazy("template"))
    def template_exported(self, row: Message) -> str:
        return str(row.template_version) if row.template_version else ""

    @admin.display(description=gettext_lazy("content"))
    def content(self, row: Message) -> SafeString | str:
        version = row.template_version
        wording = f"{version.template.name} v{version.number}" if version else row.subject[:60] or _("text")
        if row.batch is None:
            return wording
        address = reverse("admin:messaging_batch_change", args=[row.batch_id])
        batch = row.batch.name[:40] or short_id(row.batch.pk)
        return two_lines(wording, format_html('<a href="{}" title="{}">{}</a>', address, batch, batch))

    @admin.display(description=gettext_lazy("provider"))
    def carrier(self, row: Message) -> SafeString | str:
        if not row.attempts:
            return NOTHING
        tries = ngettext("{n} attempt", "{n} attempts", row.attempts).format(n=row.attempts)
        return two_lines(row.provider or NOTHING, f"{tries} · {milliseconds(row.latency_ms)}" if row.latency_ms is not None else tries)

    @admin.display(description=gettext_lazy("accepted"), ordering="id")
    def accepted(self, row: Message) -> SafeString:
        return ago(row.created_at)

    @admin.display(description=gettext_lazy("replay"))
    def again(self, row: Message) -> SafeString | str:
        if row.status not in DEAD:
            return ""
        # Belongs to the form at the end of the page: forms can't stand inside the list's own.
        return format_html(
            '<button type="submit" class="button quiet small" form="row-form" formaction="{}">{}</button>',
            reverse("admin:messaging_message_do", args=[row.pk, "retry"]),
            _("Send again"),
        )

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = [*super().get_list_display(request)]
        if self.tenant_column in columns:
            columns.remove(self.tenant_column)
            columns[columns.index("id_short")] = "of_tenant"
        if request.GET.get("state") not in ("dead", *DEAD) or not self.has_operate_permission(request):
            columns.remove("again")
        return columns

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return [name for name in list_display if name in ("id_short", "of_tenant")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        dead = request.GET.get("state") == "dead"
        own = {
            "title": _("Dead letters") if dead else _("Messages"),
            "purpose": _("Messages that failed for good or whose outcome is unknown. Send them again, or record their outcome.")
            if dead
            else self.purpose,
            "empty_text": _("No failed messages and no unknown outcomes.") if dead else self.empty_text,
            "quick": [
                {"label": _("All"), "url": "?", "on": not request.GET.get("state")},
                {"label": _("In progress"), "url": "?state=open", "on": request.GET.get("state") == "open"},
                {"label": _("Dead letters"), "url": "?state=dead", "on": dead},
            ],
        }
        return super().changelist_view(request, {**own, **(extra_context or {})})

    # --- one message -----------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return self._detail(request, self.own(request, unquote(object_id)))

    def _detail(self, request: HttpRequest, message: Message, *, revealed: bool = False) -> HttpResponse:
        receipts = list(ReceiptEntry.objects.filter(message_id=message.pk).select_related("provider").order_by("id")[:50])
        for receipt in receipts:
            receipt.detail_shown = detail_text(receipt.code, receipt.detail)  # type: ignore[attr-defined]
        text, problem = self._text(message)
        response = self.page(
            request,
            "detail",
            message,
            title=_("Message"),
            purpose="",
            **message_trace.context(request, message, now=timezone.now()),
            text=text,
            text_problem=problem,
            revealed=revealed,
            may_operate=self.has_operate_permission(request, message),
            lost_content=lost_content.of(message),
            can={verb: message.status in operation.states for verb, operation in OPERATIONS.items()},
            receipts=receipts,
        )
        response["Cache-Control"] = "no-store"
        return response

    def trace(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Return the part of a message's page that changes while it lives."""
        message = self.own(request, str(pk))
        response = self.page(request, "live", message, **message_trace.context(request, message, now=timezone.now()))
        response["Cache-Control"] = "no-store"
        return response

    @staticmethod
    def _text(message: Message) -> tuple[templates.Rendered | None, str]:
        if not message.template_version_id:
            return templates.Rendered(message.subject, message.body), ""
        try:
            # The real link would unsubscribe the recipient as soon as a viewer of the page clicked it.
            shown = unsubscribe.sample_url()
            return templates.wording(message.template_version_id).render(message.variables, unsubscribe_url=shown), ""
        except TemplateProblem as problem:
            return None, str(problem)

    def html(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Return a message's HTML as a document that can do nothing."""
        text, _problem = self._text(self.own(request, str(pk)))
        if text is None or not text.html:
            raise Http404
        return html_document(text.html)

    def reveal(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show the recipient once, and write down who looked."""
        message = self.own(request, str(pk), change=True)
        operate.reveal_recipient(message=message, by=Actor.of_request(request))
        return self._detail(request, message, revealed=True)

    def do(self, request: HttpRequest, pk: UUID, verb: str) -> HttpResponse:
        """Do one thing with one message."""
        if verb not in OPERATIONS:
            raise Http404
        message = self.own(request, str(pk), change=True)
        try:
            more = {"accept_loss": True} if verb == "retry" and request.POST.get("accept_loss") == "on" else {}
            OPERATIONS[verb].one(message=message, by=Actor.of_request(request), now=timezone.now(), **more)
        except Conflict as problem:
            self.message_user(request, problem_text(problem), messages.WARNING)
            return self.back(request, message)
        done = {
            "cancel": _("Cancelled: it will not be sent."),
            "retry": _("It will be sent again."),
            "settle_sent": _("Marked as sent."),
            "settle_failed": _("Marked as failed."),
        }
        self.message_user(request, done[verb])
        return self.back(request, message)
