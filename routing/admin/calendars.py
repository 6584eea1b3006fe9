"""Business calendars in the admin: hours, days, and the import of holidays with a preview."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from accounts.services.audit import Actor
from accounts.staff.lists import Rows
from posthaste.lib.problems import Problem
from posthaste.ui.pages import problem_text
from posthaste.ui.templatetags.interface import NOTHING, two_lines
from routing.actions import Action
from routing.admin import calendar_files
from routing.admin.calendar_forms import WEEKDAYS, CalendarForm, DayForm, DayFormSet, ImportForm
from routing.admin.outcomes import DeletedByService
from routing.admin.parts import PartInline
from routing.admin.short_names import PrepopulatesNames
from routing.calendars import editing, importing, missing, periods
from routing.models import BusinessCalendar, CalendarDay


class DayInline(PartInline):
    """The days on the page of a calendar, from last year on."""

    model = CalendarDay
    whole = "businesscalendar"
    verbose_name = gettext_lazy("day")
    verbose_name_plural = gettext_lazy("holidays and make-up days")
    form = DayForm
    formset = DayFormSet
    fields = ["day", "kind", "name", "hours"]
    ordering = ["day"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CalendarDay]":
        rows: QuerySet[CalendarDay] = super().get_queryset(request)
        return rows.filter(day__year__gte=timezone.now().year - 1)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        # A date's own widget: the admin's would come first.
        if db_field.name == "day":
            kwargs["widget"] = DayForm.Meta.widgets["day"]
        return super().formfield_for_dbfield(db_field, request, **kwargs)


@admin.register(BusinessCalendar)
class BusinessCalendarAdmin(PrepopulatesNames, DeletedByService):
    """When the desk is open."""

    purpose = gettext_lazy("When the desk is open: service levels count only this time. The default one is used where none is named.")
    empty_text = gettext_lazy("Without a calendar, the business hours of the module Service levels count.")
    first_step = (gettext_lazy("Add a calendar"), "admin:routing_businesscalendar_add")
    rows_word = gettext_lazy("calendars")
    form = CalendarForm
    change_form_template = "admin/routing/businesscalendar/form.html"
    inlines = [DayInline]
    fields = ["tenant", "title", "name", "time_zone", "is_default", "country", *WEEKDAYS]
    audit_actions = (Action.CALENDAR_CREATE, Action.CALENDAR_CHANGE, Action.CALENDAR_DELETE, Action.CALENDAR_IMPORT)
    list_display = ["calendar", "open", "place", "lacks", "default", "tenant"]
    list_display_links = ["calendar"]
    list_select_related = ["tenant"]
    search_fields = ["title", "name"]
    search_help_text = gettext_lazy("Name or short name.")
    ordering = ["title"]
    sortable_by = ["calendar"]

    def audit_targets(self, obj: BusinessCalendar) -> list[str]:
        return [obj.name]

    def get_urls(self) -> Any:
        own = [
            path("<uuid:pk>/import/", self.admin_site.admin_view(self.import_page), name=self.url_name("import")),
            path("<uuid:pk>/import-file/", self.admin_site.admin_view(self.file_page), name=self.url_name("import_file")),
        ]
        return own + super().get_urls()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Rows]:
        return Rows

    def prepare(self, request: HttpRequest, rows: list[BusinessCalendar]) -> None:
        """Look up what the calendars on the page lack."""
        lacks = missing.missing(rows, now=timezone.now())
        for row in rows:
            row.lacks = [each.text for each in lacks if each.calendar.pk == row.pk]  # type: ignore[attr-defined]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.inlines if obj is not None else []

    def save_model(self, request: HttpRequest, obj: BusinessCalendar, form: Any, change: bool) -> None:
        by = Actor.of_request(request)
        if not change:
            editing.create_calendar(calendar=obj, by=by, now=timezone.now())
        elif form.changed_data:
            fields = {"hours" if name in WEEKDAYS else name for name in form.changed_data}
            editing.change_calendar(calendar=obj, fields=fields, by=by)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Store each day that was changed through the service."""
        by = Actor.of_request(request)
        for formset in formsets:
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []  # what Django's log looks at
            for each in formset.forms:
                before = each.initial.get("day")
                is_gone = formset.can_delete and formset._should_delete_form(each)
                if not each.has_changed() or (is_gone and before is None):
                    continue
                if before is not None and (is_gone or "day" in each.changed_data):
                    editing.remove_day(calendar=form.instance, day=before, by=by)
                if not is_gone:
                    editing.set_day(calendar=form.instance, day=each.instance, by=by)

    def delete_model(self, request: HttpRequest, obj: BusinessCalendar) -> None:
        editing.delete_calendar(calendar=obj, by=Actor.of_request(request))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the calendars alone: their days go with them."""
        return [str(obj) for obj in objs], {self.opts.verbose_name_plural: len(objs)}, set(), []

    def render_change_form(
        self, request: HttpRequest, context: Any, add: bool = False, change: bool = False, form_url: str = "", obj: Any = None
    ) -> HttpResponse:
        if obj is not None:
            context.update(lacks=missing.missing([obj], now=timezone.now()))
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def import_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show what an import of holidays changes, and import them."""
        calendar: BusinessCalendar = self.own(request, str(pk), change=True)
        country, _hyphen, part = calendar.country.partition("-")
        lacks = missing.missing([calendar], now=timezone.now())
        first = {"country": country, "part": part, "year": lacks[0].year if lacks else timezone.now().year}
        form = ImportForm(request.POST if request.method == "POST" else None, initial=first)
        changes = None
        if form.is_valid():
            asked = {"calendar": calendar, "place": form.place(), "year": form.cleaned_data["year"], "language": get_language() or ""}
            try:
                if "apply" in request.POST:
                    number = importing.import_days(**asked, by=Actor.of_request(request)).number
                    self.message_user(request, ngettext("{n} day changed.", "{n} days changed.", number).format(n=number), messages.SUCCESS)
                    return self.back(request, calendar)
                changes = importing.preview(**asked)
            except Problem as problem:
                self.message_user(request, problem_text(problem), messages.ERROR)
        return self.page(
            request,
            "import",
            calendar,
            title=_("Import holidays"),
            purpose=_("Holidays and make-up days of a country. Days that were imported before are replaced, those that you wrote stay."),
            form=form,
            changes=changes,
        )

    def file_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show what a file of days changes, and import it."""
        return calendar_files.file_page(self, request, self.own(request, str(pk), change=True))

    @admin.display(description=gettext_lazy("calendar"), ordering="title")
    def calendar(self, row: BusinessCalendar) -> SafeString:
        return two_lines(row.title, row.name)

    @admin.display(description=gettext_lazy("open"))
    def open(self, row: BusinessCalendar) -> SafeString | str:
        by_day: dict[str, list[str]] = {}
        for number, name in WEEKDAYS.values():
            if text := periods.written([each["start"], each["end"]] for each in row.hours if each["day"] == number):
                by_day.setdefault(text, []).append(str(name))
        told = [f"{names[0]} – {names[-1]} {text}" if len(names) > 1 else f"{names[0]} {text}" for text, names in by_day.items()]
        return two_lines("; ".join(told[:2]) or _("Never"), row.time_zone)

    @admin.display(description=gettext_lazy("holidays of"))
    def place(self, row: BusinessCalendar) -> str:
        return row.country or NOTHING

    @admin.display(description=gettext_lazy("missing"))
    def lacks(self, row: BusinessCalendar) -> str:
        return " ".join(getattr(row, "lacks", [])) or NOTHING

    @admin.display(description=gettext_lazy("used"))
    def default(self, row: BusinessCalendar) -> str:
        return _("Where none is named") if row.is_default else _("Where it is named")
