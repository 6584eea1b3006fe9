"""The pages of reports that are sent by e-mail: the list with a form for a new one, and one schedule."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import dates, timezone
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from accounts.roles import Role
from accounts.services.audit import Actor
from accounts.staff.tenant_admin import own_tenants
from accounts.tenancy import owned_by
from posthaste.lib.masking import mask_email
from posthaste.lib.problems import Problem
from posthaste.ui.checked_forms import CheckedForm
from posthaste.ui.pages import at, page, problem_text, staff_page
from routing.desk.leading import REFUSAL, Led, led, may_lead
from routing.desk.reports import schedules
from routing.desk.reports.ranges import zone_of
from routing.desk.reports.report import By
from routing.models import ReportSchedule

READ_WRITE = ("GET", "HEAD", "POST")


class Addresses(forms.CharField):
    """E-mail addresses, one a line or with commas between."""

    def to_python(self, value: Any) -> Any:
        return [part for line in (value or "").replace(",", "\n").splitlines() if (part := line.strip())]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def validate(self, value: Any) -> None:
        super().validate("\n".join(value))


class ScheduleForm(CheckedForm):
    """Which report is sent, to which addresses, and when."""

    report = forms.ChoiceField(label=gettext_lazy("Grouped by"), choices=By.choices)
    recipients = Addresses(
        label=gettext_lazy("Recipients"),
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("E-mail addresses, one per line."),
    )
    weekday = forms.TypedChoiceField(label=gettext_lazy("Sent on"), coerce=int, empty_value=None, required=False)
    hour = forms.TypedChoiceField(label=gettext_lazy("At"), coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)])
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=settings.LANGUAGES)

    class Meta:
        model = ReportSchedule
        fields = schedules.FIELDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        days = [(number + 1, name) for number, name in dates.WEEKDAYS.items()]
        self.fields["weekday"].choices = [("", _("every day")), *days]  # type: ignore[attr-defined]

    def check_row(self) -> None:
        schedules.check(self.instance)


@at("desk/reports/schedules/", name="desk-report-schedules")
@staff_page(allowed=may_lead, methods=READ_WRITE, refusal=REFUSAL)
def report_schedules(request: HttpRequest) -> HttpResponse:
    """List the scheduled reports of a tenant, and add one."""
    desk = led(request)
    if desk is None:
        return page(request, "desk/report_schedules.html", **_heading(), desk=None)
    form = ScheduleForm(request.POST or None, instance=ReportSchedule(tenant=desk.tenant, **_usual(desk)))
    if request.method != "POST":
        form.fields["time_zone"].widget.attrs["data-zone"] = ""  # a new one begins with the reader's zone
    if request.method == "POST" and form.is_valid():
        try:
            schedules.create_schedule(schedule=form.instance, by=Actor.of_request(request), now=timezone.now())
        except Problem as problem:
            form.add_error(None, problem_text(problem))
        else:
            messages.success(request, _("The report is scheduled."))
            return HttpResponseRedirect(_list_address(desk.tenant.pk))
    rows = ReportSchedule.objects.filter(tenant=desk.tenant).order_by("report", "pk")
    return page(
        request,
        "desk/report_schedules.html",
        **_heading(),
        desk=desk,
        rows=[_line(row) for row in rows],
        form=form,
        back=f"{reverse('desk-reports')}?tenant={desk.tenant.pk}",
    )


@at("desk/reports/schedules/<uuid:schedule>/", name="desk-report-schedule")
@staff_page(allowed=may_lead, methods=READ_WRITE, refusal=REFUSAL)
def report_schedule(request: HttpRequest, schedule: UUID) -> HttpResponse:
    """Show, change or delete one scheduled report."""
    own = owned_by(ReportSchedule.objects.select_related("tenant"), *own_tenants(request, at_least=Role.OPERATOR))
    row = own.filter(pk=schedule).first()
    if row is None:
        raise Http404
    back = _list_address(row.tenant_id)
    if request.method == "POST" and request.POST.get("verb") == "delete":
        schedules.delete_schedule(schedule=row, by=Actor.of_request(request))
        messages.success(request, _("The report is not sent any more."))
        return HttpResponseRedirect(back)
    form = ScheduleForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        schedules.change_schedule(schedule=form.instance, fields=form.changed_data, by=Actor.of_request(request), now=timezone.now())
        messages.success(request, _("Saved."))
        return HttpResponseRedirect(back)
    return page(request, "desk/report_schedule.html", **_heading(), form=form, row=row, line=_line(row), back=back)


def _heading() -> dict[str, Any]:
    return {"title": _("Scheduled reports"), "purpose": _("Figures of the desk that are sent by e-mail every day or week.")}


def _list_address(tenant_id: int) -> str:
    return f"{reverse('desk-report-schedules')}?tenant={tenant_id}"


def _usual(desk: Led) -> dict[str, Any]:
    """Return what a new schedule begins with."""
    return {"report": By.DAY, "time_zone": zone_of(desk.tenant.pk).key, "language": get_language() or "en"}


def _line(row: ReportSchedule) -> dict[str, Any]:
    """Return a schedule in words; addresses are masked in the list."""
    day = _("every day") if row.weekday is None else dates.WEEKDAYS[row.weekday - 1]
    return {
        "row": row,
        "by": By(row.report).label if row.report in By.values else row.report,
        "when": _("{day} at {hour}").format(day=day, hour=f"{row.hour:02}:00"),
        "recipients": ", ".join(mask_email(address) for address in row.recipients[:3]),
        "more": max(0, len(row.recipients) - 3),
        "error": _(row.last_error) if row.failures else "",
        "url": reverse("desk-report-schedule", args=[row.pk]),
    }
