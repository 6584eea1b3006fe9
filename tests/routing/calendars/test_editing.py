"""Calendars are edited, and holidays imported, by people who make mistakes."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from accounts.models import AuditEntry, Tenant
from posthaste.lib.problems import Conflict, Invalid
from routing.calendars import editing, holiday_data, importing, missing, periods
from routing.calendars.reading import calendar_of
from routing.configuration import service_levels
from routing.models import BusinessCalendar, CalendarDay, DayKind
from tests.builders import TESTER
from tests.routing.calendars.builders import ALWAYS, OFFICE, make_calendar, make_day

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
#: As the State Council announced them for 2026.
MAKE_UP_2026 = ["01-04", "02-14", "02-28", "05-09", "09-20", "10-10"]


def made(tenant: Tenant, **fields: Any) -> BusinessCalendar:
    values = {"name": "office", "title": "Office", "time_zone": "Asia/Shanghai", "hours": OFFICE, **fields}
    return editing.create_calendar(calendar=BusinessCalendar(tenant=tenant, **values), by=TESTER, now=NOW)


def test_the_first_calendar_is_the_default_and_another_may_become_it(tenant: Tenant) -> None:
    office, night = made(tenant), made(tenant, name="night", hours=[])
    assert (office.is_default, night.is_default) == (True, False)
    assert calendar_of(tenant.pk).is_open(NOW.replace(hour=3))
    night.is_default = True
    editing.change_calendar(calendar=night, fields=["is_default"], by=TESTER)
    assert list(BusinessCalendar.objects.filter(is_default=True)) == [night]
    assert not calendar_of(tenant.pk).is_open(NOW.replace(hour=3))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"country": "XX"}, "country"),
        ({"hours": [{"day": 8, "start": "09:00", "end": "10:00"}]}, "hours"),
        ({"hours": [{"day": 1, "start": "09:00", "end": "12:00"}, {"day": 1, "start": "11:00", "end": "13:00"}]}, "hours"),
        ({"hours": ["monday"]}, "hours"),
        ({"title": " "}, "title"),
    ],
)
def test_what_is_wrong_is_named(tenant: Tenant, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        made(tenant, **fields)
    assert caught.value.errors[0]["field"] == field


def test_periods_are_written_as_people_write_them() -> None:
    assert periods.read("9:00-12:00，13:00 – 24:00") == [["09:00", "12:00"], ["13:00", "00:00"]]
    assert periods.written([["09:00", "12:00"], ["13:00", "00:00"]]) == "09:00-12:00, 13:00-24:00"
    for wrong in ("nine to five", "10:00-09:00", "09:00-12:00, 11:00-13:00", "25:00-26:00"):
        with pytest.raises(ValueError, match=r".+"):
            periods.read(wrong)


def test_china_2026_has_its_holidays_and_make_up_days(tenant: Tenant) -> None:
    days = holiday_data.days_of("CN", 2026, language="zh-hans")
    assert [f"{day.day:%m-%d}" for day in days if day.kind == DayKind.WORKING] == MAKE_UP_2026
    assert {day.day: day.name for day in days}[date(2026, 10, 1)] == "国庆节"
    assert holiday_data.is_announced("CN", 2026)
    calendar = made(tenant)
    importing.import_days(calendar=calendar, place="CN", year=2026, by=TESTER)
    opening = calendar_of(tenant.pk)
    assert opening.is_open(datetime(2026, 2, 14, 3, tzinfo=UTC))  # a Saturday that is worked
    assert not opening.is_open(datetime(2026, 2, 16, 3, tzinfo=UTC))  # a Monday off


def test_an_import_replaces_what_was_imported_and_keeps_what_staff_wrote(tenant: Tenant) -> None:
    calendar = made(tenant)
    importing.import_days(calendar=calendar, place="DE", year=2026, by=TESTER)
    christmas = CalendarDay(day=date(2026, 12, 25), kind=DayKind.WORKING, hours=[["10:00", "12:00"]])
    editing.set_day(calendar=calendar, day=christmas, by=TESTER)
    editing.set_day(calendar=calendar, day=CalendarDay(day=date(2026, 12, 24)), by=TESTER)
    seen = importing.preview(calendar=calendar, place="DE-BE", year=2026)
    assert ([day.day for day in seen.added], seen.removed, [row.day for row in seen.kept]) == (
        [date(2026, 3, 8)],
        [],
        [date(2026, 12, 25), date(2026, 12, 24)],
    )
    importing.import_days(calendar=calendar, place="FR", year=2026, by=TESTER)
    kept = set(CalendarDay.objects.filter(calendar=calendar, is_imported=False).values_list("day", "kind"))
    assert kept == {(date(2026, 12, 25), "working"), (date(2026, 12, 24), "holiday")}
    calendar.refresh_from_db()
    assert (calendar.country, calendar.version) == ("FR", 5)
    assert AuditEntry.objects.filter(action="business_calendar.import").count() == 2


def test_what_lacks_holidays_is_told_from_october_on(tenant: Tenant) -> None:
    empty = make_calendar(tenant, at=NOW)
    make_calendar(tenant, at=NOW, name="always", is_default=False, hours=ALWAYS)
    chinese = make_calendar(tenant, at=NOW, name="cn", is_default=False, country="CN", holidays=("2026-10-01",))
    german = make_calendar(tenant, at=NOW, name="de", is_default=False, country="DE", holidays=("2026-12-25", "2027-01-01"))

    def lacks(now: datetime) -> set[tuple[str, str, int]]:
        return {(each.calendar.name, each.lack, each.year) for each in missing.of_tenants([tenant.pk], now=now)}

    assert lacks(NOW.replace(month=9)) == {(empty.name, "this_year", 2026)}
    assert lacks(NOW) == {(empty.name, "this_year", 2026), (empty.name, "next_year", 2027), (chinese.name, "next_year", 2027)}
    importing.import_days(calendar=chinese, place="CN", year=2027, by=TESTER)
    assert (chinese.name, "not_announced", 2027) in lacks(NOW)
    make_day(chinese, "2027-02-20", DayKind.WORKING)
    assert german.name not in {name for name, _lack, _year in lacks(NOW)}
    assert chinese.name not in {name for name, _lack, _year in lacks(NOW)}


def test_the_job_imports_what_was_announced_and_only_once(tenant: Tenant) -> None:
    make_calendar(tenant, at=NOW, name="cn", country="CN")
    make_calendar(tenant, at=NOW, name="de", country="DE", is_default=False)
    assert importing.import_missing(now=NOW, by=TESTER) == 3  # China's next year was not announced
    assert importing.import_missing(now=NOW, by=TESTER) == 0


def test_a_calendar_that_a_target_names_is_not_deleted(tenant: Tenant) -> None:
    calendar = made(tenant)
    with service_levels.set(targets=[{"calendar": "office"}]), pytest.raises(Conflict, match="target"):
        editing.delete_calendar(calendar=calendar, by=TESTER)
    editing.delete_calendar(calendar=calendar, by=TESTER)
    assert not BusinessCalendar.objects.exists()
