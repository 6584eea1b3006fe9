"""What is filled in about business calendars, checked by the services that store them."""

from typing import Any

from django import forms
from django.utils import dates
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.ui.checked_forms import CheckedForm
from routing.admin.short_names import ShortNamed
from routing.calendars import editing, file_importing, holiday_data, periods
from routing.calendars.importing import YEARS
from routing.models import BusinessCalendar, CalendarDay

WEEKDAYS = {f"day_{day + 1}": (day + 1, name) for day, name in dates.WEEKDAYS.items()}
PERIODS = gettext_lazy("Such as 09:00-12:00, 13:00-18:00. Empty: closed.")


class PeriodsField(forms.CharField):
    """The opening times of a day: `09:00-12:00, 13:00-18:00`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "max_length": 200, "widget": forms.TextInput(attrs={"class": "vTextField"}), **options})

    def prepare_value(self, value: Any) -> Any:
        return periods.written(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        try:
            return periods.read(value or "")
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(self.prepare_value(initial) or "").strip() != (data or "").strip()


class CalendarForm(ShortNamed):
    """A business calendar, with a field for each day of the week."""

    checked_by_service = ("tenant",)
    usual = "calendar"

    class Meta:
        model = BusinessCalendar
        fields = ["tenant", "title", "name", "time_zone", "is_default", "country"]
        help_texts = {"country": gettext_lazy("Such as CN or DE-BE: imported each year. Empty: you keep the days by hand.")}

    day_1, day_2, day_3, day_4, day_5, day_6, day_7 = (
        PeriodsField(label=name, help_text=PERIODS if number == 1 else "") for number, name in WEEKDAYS.values()
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hours = self.instance.hours or ([] if self.instance.pk and not self.instance._state.adding else USUAL)
        for field, (number, _name) in WEEKDAYS.items():
            self.initial.setdefault(field, [[each["start"], each["end"]] for each in hours if each["day"] == number])

    def check_row(self) -> None:
        self.instance.hours = [
            {"day": number, "start": start, "end": end}
            for field, (number, _name) in WEEKDAYS.items()
            for start, end in self.cleaned_data.get(field, [])
        ]
        editing.check_calendar(self.instance)


USUAL = [{"day": day, "start": "09:00", "end": "18:00"} for day in range(1, 6)]


class DayForm(CheckedForm):
    """A holiday or a make-up day."""

    checked_by_service = ("calendar",)

    hours = PeriodsField(label=gettext_lazy("opening hours"))

    class Meta:
        model = CalendarDay
        fields = ["day", "kind", "name", "hours"]
        # The browser's own: the admin's tells how far the server's clock is off, below each of the days.
        widgets = {"day": forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})}

    def check_row(self) -> None:
        editing.check_day(self.instance)


class DayFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The days of a calendar, each date once."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = _("Delete this day")
        for name in ("day", "kind", "name", "hours"):
            if name in form.fields:
                form.fields[name].widget.attrs["aria-label"] = capfirst(str(form.fields[name].label))


class ImportForm(forms.Form):
    """Whose holidays of which year are imported."""

    country = forms.ChoiceField(label=gettext_lazy("Country"))
    part = forms.CharField(
        label=gettext_lazy("Part of the country"), required=False, max_length=7, help_text=gettext_lazy("Its code, such as BE for Berlin.")
    )
    year = forms.IntegerField(label=gettext_lazy("Year"), min_value=YEARS[0], max_value=YEARS[-1])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["country"]
        field.choices = [("", _("Choose one")), *holiday_data.countries().items()]

    def clean_part(self) -> str:
        part, country = str(self.cleaned_data.get("part") or "").strip(), str(self.cleaned_data.get("country") or "")
        known = holiday_data.parts_of(country)
        if part and part not in known:
            raise forms.ValidationError(_("Parts that are known: {parts}.").format(parts=", ".join(known) or "–"))
        return part

    def place(self) -> str:
        """Return the country, or the part of it."""
        return "-".join(filter(None, (self.cleaned_data["country"], self.cleaned_data["part"])))


class FileForm(forms.Form):
    """How days of a file are imported; the file itself is read by the page."""

    replace = forms.BooleanField(
        label=gettext_lazy("Remove other days of these years"),
        required=False,
        help_text=gettext_lazy("Days that come from a country stay, as its next import would bring them back."),
    )
    from_year = forms.IntegerField(
        label=gettext_lazy("From year"), required=False, min_value=file_importing.FIRST_YEAR, max_value=file_importing.LAST_YEAR
    )
    to_year = forms.IntegerField(
        label=gettext_lazy("To year"),
        required=False,
        min_value=file_importing.FIRST_YEAR,
        max_value=file_importing.LAST_YEAR,
        help_text=gettext_lazy("Empty: all days of a CSV file, and three years of an ICS file, as its events may come back each year."),
    )

    def wanted(self) -> dict[str, Any]:
        """Return what the service takes."""
        given = self.cleaned_data
        return {"replace": given["replace"], "from_year": given["from_year"] or 0, "to_year": given["to_year"] or 0}
