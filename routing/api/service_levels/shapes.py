"""What the API takes and shows of business calendars."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.base import Body, BoundedList
from posthaste.lib.filters import Query, WholeNumber
from routing.calendars import missing
from routing.calendars.file_importing import FIRST_YEAR, LAST_YEAR
from routing.calendars.importing import YEARS
from routing.models import BusinessCalendar, CalendarDay, DayKind

SLUG = r"^[-a-zA-Z0-9_]+\Z"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"


class OpenOut(serializers.Serializer[Any]):
    """Open on one day of the week."""

    day = serializers.IntegerField(help_text="1 (Monday) to 7 (Sunday).")
    start = serializers.CharField()
    end = serializers.CharField(help_text="00:00 is the end of the day.")


class OpenIn(Body):
    """Open on one day of the week; several entries a day are several periods."""

    day = serializers.IntegerField(min_value=1, max_value=7, help_text="1 (Monday) to 7 (Sunday).")
    start = serializers.RegexField(CLOCK, max_length=5, help_text="Such as 09:00.")
    end = serializers.RegexField(CLOCK, max_length=5, help_text="Such as 18:00. 00:00 is the end of the day.")


class LackOut(serializers.Serializer[Any]):
    """Holidays that a calendar lacks."""

    lack = serializers.ChoiceField(choices=[(each.value, each.value) for each in missing.Lack])
    year = serializers.IntegerField()
    text = serializers.CharField(help_text="In words, in the language of `Accept-Language`.")


class CalendarOut(serializers.ModelSerializer[BusinessCalendar]):
    """A business calendar."""

    hours = OpenOut(many=True)
    missing = serializers.SerializerMethodField(help_text="From October on also of the next year.")

    class Meta:
        model = BusinessCalendar
        fields = ["id", "name", "title", "time_zone", "hours", "is_default", "country", "missing", "version", "created_at"]

    @extend_schema_field(LackOut(many=True))
    def get_missing(self, calendar: BusinessCalendar) -> list[dict[str, Any]]:
        lacks: dict[Any, list[missing.Missing]] = self.context["lacks"]
        return [{"lack": each.lack.value, "year": each.year, "text": each.text} for each in lacks.get(calendar.pk, ())]


class CalendarIn(Body):
    """What makes a business calendar."""

    name = serializers.RegexField(SLUG, max_length=40, help_text="Short name, by which targets name the calendar.")
    title = serializers.CharField(max_length=100)
    time_zone = serializers.CharField(max_length=64, default="UTC", help_text="Such as Europe/Berlin.")
    hours = BoundedList(child=OpenIn(), max_length=70, default=list, help_text="Empty: never open but on make-up days with hours.")
    is_default = serializers.BooleanField(default=False, help_text="Used where no calendar is named. The first one always is.")
    country = serializers.CharField(
        max_length=10, default="", allow_blank=True, help_text="Its holidays are imported each year: such as CN or DE-BE. Empty: by hand."
    )


class DayOut(serializers.ModelSerializer[CalendarDay]):
    """A day that differs from others of its weekday."""

    hours = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Of a make-up day: pairs of start and end. Empty: those of the first weekday that has hours.",
    )

    class Meta:
        model = CalendarDay
        fields = ["id", "day", "kind", "name", "hours", "is_imported"]


class DayIn(Body):
    """A holiday, or a day that is worked. It takes the place of the one that the date had, and imports leave it as it is."""

    day = serializers.DateField()
    kind = serializers.ChoiceField(choices=DayKind.choices, default=DayKind.HOLIDAY)
    name = serializers.CharField(max_length=100, default="", allow_blank=True)
    hours = BoundedList(
        child=BoundedList(child=serializers.RegexField(CLOCK, max_length=5), min_length=2, max_length=2),
        max_length=10,
        default=list,
        help_text="Of a make-up day: pairs of start and end. Empty: those of the first weekday that has hours.",
    )


class HolidayImportIn(Body):
    """Whose holidays are imported."""

    country = serializers.CharField(max_length=10, help_text="Such as CN, or DE-BE for a part of a country.")
    year = serializers.IntegerField(min_value=YEARS[0], max_value=YEARS[-1])
    dry_run = serializers.BooleanField(default=False, help_text="Only say what would change.")


class ChangedDayOut(serializers.Serializer[Any]):
    """A day of an import."""

    day = serializers.DateField()
    kind = serializers.ChoiceField(choices=DayKind.choices)
    name = serializers.CharField()


class HolidayImportOut(serializers.Serializer[Any]):
    """What an import changed, or would change."""

    added = ChangedDayOut(many=True)
    changed = ChangedDayOut(many=True)
    removed = ChangedDayOut(many=True, help_text="Were imported before, and are no holidays any more.")
    kept = ChangedDayOut(many=True, help_text="Written by staff, so left as they are.")
    same = serializers.IntegerField()
    is_announced = serializers.BooleanField(help_text="False: the days that are exchanged in that year are not known yet.")


class DayFileQuery(Query):
    """`?dry_run=true&replace=true`."""

    dry_run = serializers.BooleanField(default=False, help_text="Only say what would change.")
    replace = serializers.BooleanField(
        default=False, help_text="Remove other days of the years that the file has; those that come from a country stay."
    )
    from_year = WholeNumber(required=False, min_value=FIRST_YEAR, max_value=LAST_YEAR, help_text="Days before it are left out.")
    to_year = WholeNumber(
        required=False,
        min_value=FIRST_YEAR,
        max_value=LAST_YEAR,
        help_text="Days after it are left out. Without both: all days of CSV, three years of ICS from this one on.",
    )


class FileDayOut(ChangedDayOut):
    """A day of a file."""

    hours = serializers.ListField(child=serializers.ListField(child=serializers.CharField()), help_text="Pairs of start and end.")


class DayFileOut(serializers.Serializer[Any]):
    """What a file changed, or would change."""

    format = serializers.CharField(help_text="csv or ics.")
    added = FileDayOut(many=True)
    changed = FileDayOut(many=True)
    removed = FileDayOut(many=True)
    same = serializers.IntegerField()
    kept = serializers.IntegerField(help_text="Days of the same years that are not in the file, and stay.")
    left_out = serializers.IntegerField(help_text="Days of the file in other years than those that were asked for.")
