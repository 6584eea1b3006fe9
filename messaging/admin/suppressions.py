"""The suppression list in the admin: masked, found by the whole recipient, added to and taken from with an audit entry."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.selectors import active_tenants, no_tenants
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import ReadOnly, own_rows, own_tenants
from messaging.channels.recipients import RecipientKind, list_key, written_forms
from messaging.channels.registry import CHANNEL_CHOICES
from messaging.configuration.delivery import CATEGORY
from messaging.models import Suppression, SuppressionReason
from messaging.storage.unreadable import readable
from messaging.suppression import suppressions
from posthaste.lib.dates import within_range
from posthaste.lib.problems import Invalid
from posthaste.ui.confirmation import MAX_AT_ONCE, confirm
from posthaste.ui.templatetags.interface import NOTHING, ago, badge, short_id, two_lines


class SuppressionForm(forms.Form):
    """What is asked when recipients are put on the list."""

    tenant = forms.ModelChoiceField(no_tenants(), label=gettext_lazy("tenant"), empty_label=None)
    recipients = forms.CharField(
        label=gettext_lazy("recipients"),
        widget=forms.Textarea(attrs={"rows": 6, "class": "code"}),
        help_text=gettext_lazy(
            "One per line: phone numbers with + and country code, e-mail addresses, or another form that the channel accepts."
        ),
    )
    channel = forms.ChoiceField(label=gettext_lazy("channel"), required=False, choices=[("", gettext_lazy("All")), *CHANNEL_CHOICES])
    kind = forms.ChoiceField(
        label=gettext_lazy("kind of recipient"),
        required=False,
        choices=[
            ("", gettext_lazy("As written")),
            (RecipientKind.PHONE.value, gettext_lazy("Phone number")),
            (RecipientKind.EMAIL.value, gettext_lazy("E-mail address")),
            (RecipientKind.URL.value, gettext_lazy("URL")),
            (RecipientKind.NAME.value, gettext_lazy("Name or token")),
        ],
        help_text=gettext_lazy("Only if Channel is All: how to read recipients that are ambiguous, such as a user ID made of digits."),
    )
    category = forms.RegexField(
        CATEGORY, label=gettext_lazy("category"), required=False, help_text=gettext_lazy("Only messages of this category. Empty: all.")
    )
    reason = forms.ChoiceField(
        label=gettext_lazy("reason"),
        choices=[(r.value, r.label) for r in (SuppressionReason.MANUAL, SuppressionReason.COMPLAINT, SuppressionReason.UNSUBSCRIBE)],
    )
    expires_at = forms.DateTimeField(
        label=gettext_lazy("expires"),
        required=False,
        validators=[within_range],
        help_text=gettext_lazy("In UTC. Empty: never."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


@admin.register(Suppression)
class SuppressionAdmin(ReadOnly):
    """Recipients that nothing is sent to."""

    purpose = gettext_lazy(
        "Recipients that get no messages, or none of one category. The list is checked right before every send, whatever the priority."
    )
    empty_text = gettext_lazy(
        "Recipients are added manually, through the API, when they unsubscribe, or when a provider reports that they do not exist."
    )
    first_step = (gettext_lazy("Add recipients"), "admin:messaging_suppression_add")
    list_display = ["recipient_masked", "reason_badge", "reach", "tenant", "message_link", "by", "expires"]
    list_display_links = ["recipient_masked"]
    has_panel = True
    list_filter = ["reason", "channel"]
    list_select_related = ["tenant"]
    search_fields = ["id"]  # turns the search on; get_search_results does it
    search_help_text = gettext_lazy("The exact recipient.")
    actions = ["take_off"]
    ordering = ["-id"]
    sortable_by = ["by"]
    fields = ["reason_badge", "tenant", "channel_shown", "category_shown", "message_link", "created_by", "created", "expires"]
    readonly_fields = ["reason_badge", "tenant", "channel_shown", "category_shown", "message_link", "created_by", "created", "expires"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allowed(request, "add", None)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Suppression]":
        return readable(super().get_queryset(request))

    def get_search_results(self, request: HttpRequest, queryset: "QuerySet[Suppression]", search_term: str) -> Any:
        term = search_term.strip()
        if not term:
            return queryset, False
        # The index begins with the tenant.
        written = {list_key(form) for form in written_forms(term)}
        return queryset.filter(tenant_id__in=own_tenants(request), recipient__in=written), False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = SuppressionForm(request.POST or None)
        tenants = active_tenants(own_tenants(request, at_least=self.least))
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]
        if request.method == "POST" and form.is_valid():
            values = form.cleaned_data
            recipients = [line.strip() for line in values["recipients"].splitlines() if line.strip()]
            try:
                if len(recipients) > suppressions.MAX_AT_ONCE:
                    raise Invalid.field("recipients", _("At most {n} at once.").format(n=suppressions.MAX_AT_ONCE))
                added = suppressions.add(
                    tenant_id=values["tenant"].pk,
                    recipients=recipients,
                    channel=values["channel"],
                    kind=values["kind"],
                    category=values["category"],
                    reason=SuppressionReason(values["reason"]),
                    by=Actor.of_request(request),
                    now=timezone.now(),
                    expires_at=values["expires_at"],
                )
            except Invalid as problem:
                for error in problem.errors[:20]:
                    name, bracket, index = str(error["field"]).partition("[")
                    line = _("Line {n}: ").format(n=int(index.rstrip("]")) + 1) if bracket else ""
                    form.add_error(name if name in form.fields else None, f"{line}{error['message']}")
            else:
                self.message_user(request, ngettext("{n} recipient added.", "{n} recipients added.", added).format(n=added))
                return HttpResponseRedirect(reverse("admin:messaging_suppression_changelist"))
        status = 422 if form.errors else 200
        title = _("Add to the suppression list")
        return self.page(request, "add", form=form, status=status, title=title, list_title=_("Suppression list"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        entry = self.own(request, unquote(object_id))
        names = {"list_title": _("Suppression list"), "heading": suppressions.masked(entry.recipient, entry.channel)}
        return super().change_view(request, object_id, form_url, {**names, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Suppression list"), **(extra_context or {})})

    @admin.action(description=gettext_lazy("Remove from the list"), permissions=["operate"])
    def take_off(self, request: HttpRequest, queryset: "QuerySet[Suppression]") -> HttpResponse | None:
        rows = list(own_rows(request, queryset, at_least=self.least).order_by("-id")[:MAX_AT_ONCE])

        def perform() -> None:
            number = suppressions.remove(entries=rows, by=Actor.of_request(request))
            self.message_user(request, ngettext("{n} recipient removed.", "{n} recipients removed.", number).format(n=number))

        return confirm(
            self,
            request,
            queryset,
            action="take_off",
            question=_("Remove these recipients from the list?"),
            button=_("Remove from the list"),
            ids=[row.pk for row in rows],
            consequence=_("They get messages again. Ask recipients who unsubscribed for their consent first."),
            left_out=max(0, queryset.count() - len(rows)),
            perform=perform,
        )

    # --- columns ---------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("recipient"))
    def recipient_masked(self, row: Suppression) -> SafeString:
        return format_html('<span class="nowrap">{}</span>', suppressions.masked(row.recipient, row.channel))

    @admin.display(description=gettext_lazy("reason"))
    def reason_badge(self, row: Suppression) -> SafeString:
        return badge(SuppressionReason(row.reason))

    @admin.display(description=gettext_lazy("channel"))
    def channel_shown(self, row: Suppression) -> str:
        return str(row.get_channel_display()) if row.channel else _("All")

    @admin.display(description=gettext_lazy("category"))
    def category_shown(self, row: Suppression) -> str:
        return row.category or _("All")

    @admin.display(description=gettext_lazy("applies to"))
    def reach(self, row: Suppression) -> SafeString | str:
        if not row.channel and not row.category:
            return _("All")
        return two_lines(self.channel_shown(row), row.category or _("All"))

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def by(self, row: Suppression) -> SafeString:
        return two_lines(ago(row.created_at), row.created_by or NOTHING)

    @admin.display(description=gettext_lazy("message"))
    def message_link(self, row: Suppression) -> SafeString | str:
        if row.message_id is None:
            return NOTHING
        return format_html(
            '<a href="{}"><code>{}</code></a>', reverse("admin:messaging_message_change", args=[row.message_id]), short_id(row.message_id)
        )

    @admin.display(description=gettext_lazy("created"), ordering="id")
    def created(self, row: Suppression) -> SafeString:
        return ago(row.created_at)

    @admin.display(description=gettext_lazy("expires"))
    def expires(self, row: Suppression) -> SafeString | str:
        return ago(row.expires_at) if row.expires_at else _("Never")
