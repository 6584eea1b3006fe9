"""Days of a calendar from files of staff: tables, calendars of other programs, and what is wrong in them."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import AuditEntry, Tenant
from accounts.roles import Role
from posthaste.lib.problems import Conflict, Invalid
from routing.calendars import file_importing
from routing.calendars.file_importing import DayFile
from routing.models import BusinessCalendar, CalendarDay
from tests.builders import TESTER, Api, CsvBody, fields_of, json_of, make_api, make_tenant
from tests.routing.calendars.builders import make_calendar, make_day
from tests.routing.desk.builders import make_staff

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]
NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
TABLE = """日期,名称,类型,时间
2027/1/1,元旦,休,
2027-02-06,"春节, 补班",班,"9:00-12:00, 13:00-18:00"
2027年10月1日,国庆节,放假,
"""
YEARLY = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Shop//EN
BEGIN:VEVENT
UID:new-year
DTSTART;VALUE=DATE:20200101
RRULE:FREQ=YEARLY
SUMMARY:New Year
END:VEVENT
BEGIN:VEVENT
UID:thanks
DTSTART;VALUE=DATE:20201126
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH
EXDATE;VALUE=DATE:20281123
SUMMARY:Thanksgiving
END:VEVENT
BEGIN:VEVENT
UID:festival
DTSTART;VALUE=DATE:20270206
DTEND;VALUE=DATE:20270209
SUMMARY:春节
END:VEVENT
BEGIN:VEVENT
UID:exchanged
DTSTART;VALUE=DATE:20270220
SUMMARY:春节（班）
END:VEVENT
BEGIN:VEVENT
UID:old
DTSTART;VALUE=DATE:20190501
SUMMARY:Long ago
END:VEVENT
END:VCALENDAR
"""


def event(*lines: str) -> str:
    return "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:a", *lines, "END:VEVENT", "END:VCALENDAR", ""])


def given(calendar: BusinessCalendar, content: str | bytes, **wanted: Any) -> file_importing.FileChanges:
    raw = content.encode() if isinstance(content, str) else content
    return file_importing.import_file(calendar=calendar, file=DayFile(raw, **wanted), by=TESTER, now=NOW)


def refused(calendar: BusinessCalendar, content: str, **wanted: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        given(calendar, content, **wanted)
    return {str(error["field"]): str(error["message"]) for error in caught.value.errors}


def days_of(calendar: BusinessCalendar) -> dict[str, str]:
    return {row.day.isoformat(): f"{row.kind} {row.name}" for row in calendar.days.order_by("day")}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_table_is_read_in_the_encodings_that_spreadsheets_write(tenant: Tenant, encoding: str) -> None:
    calendar = make_calendar(tenant, at=NOW)
    assert len(given(calendar, TABLE.encode(encoding)).added) == 3
    assert days_of(calendar) == {"2027-01-01": "holiday 元旦", "2027-02-06": "working 春节, 补班", "2027-10-01": "holiday 国庆节"}
    assert calendar.days.get(day=date(2027, 2, 6)).hours == [["09:00", "12:00"], ["13:00", "18:00"]]


def test_what_differs_is_changed_once_and_all_of_it_counts_as_written_by_staff(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW, country="CN")
    make_day(calendar, "2027-01-01", name="New Year", is_imported=True)
    make_day(calendar, "2027-05-01", name="Labour Day", is_imported=True)
    make_day(calendar, "2027-12-31", name="Inventory")
    make_day(calendar, "2026-12-31", name="Inventory")
    changes = given(calendar, "date;name\n2027-01-01;Neujahr\n2027-10-03;Einheit\n", replace=True)
    assert (len(changes.added), len(changes.changed), len(changes.removed), changes.kept) == (1, 1, 1, 1)
    assert sorted(days_of(calendar)) == ["2026-12-31", "2027-01-01", "2027-05-01", "2027-10-03"]
    assert not calendar.days.get(day=date(2027, 1, 1)).is_imported
    calendar.refresh_from_db()
    assert (calendar.version, given(calendar, "2027-01-01,Neujahr").number) == (1, 0)
    calendar.refresh_from_db()
    assert (calendar.version, AuditEntry.objects.filter(action="business_calendar.import").count()) == (1, 1)


def test_each_wrong_line_is_named_with_what_to_do_and_nothing_is_stored(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    wrong = refused(
        calendar,
        "date,name,kind,hours\n1/2/2027,A\n2027-02-30,B\n2027-03-01,C,party\n2027-03-02,D,working,nine\n2027-03-03,E,holiday,9:00-12:00\n"
        f"2027-03-04,F\n2027-03-04,G\n2027-03-05,{'x' * 101}\n",
    )
    assert sorted(wrong) == [f"line {line}" for line in (2, 3, 4, 5, 6, 8, 9)]
    assert "with the year first, such as 2027-01-02" in wrong["line 2"]
    assert "The same date as in line 7" in wrong["line 8"]
    assert refused(calendar, "") == refused(calendar, "date,name\n")
    assert list(refused(calendar, "2027-01-01,x\n" * 90_000)) == ["file"], "too large"
    assert "no CSV file" in refused(calendar, 'date,name\n2027-01-01,"open')["file"]
    with pytest.raises(Invalid):
        given(calendar, b"\xff\xff\xff")
    assert not CalendarDay.objects.exists()


def test_events_of_a_calendar_come_back_each_year_and_last_several_days(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    changes = given(calendar, YEARLY, from_year=2027, to_year=2028)
    assert days_of(calendar) == {
        "2027-01-01": "holiday New Year", "2027-02-06": "holiday 春节", "2027-02-07": "holiday 春节", "2027-02-08": "holiday 春节",
        "2027-02-20": "working 春节（班）", "2027-11-25": "holiday Thanksgiving", "2028-01-01": "holiday New Year",
    }  # fmt: skip
    assert (changes.format, changes.left_out) == ("ics", 1)
    assert [day.day.year for day in given(calendar, event("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY;COUNT=2")).added] == [2028]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["DTSTART:20270101T090000Z"], "time of day"),
        (["DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=WEEKLY"], "another way than each year"),
        (["DTSTART;VALUE=DATE:20270101", "RRULE:FREQ=YEARLY;BYHOUR=1"], "another way than each year"),
        (["DTSTART;VALUE=DATE:20270101", "DTEND;VALUE=DATE:20271231"], "between 1 and 62 days"),
        (["SUMMARY:Nothing"], "no day"),
        (["DTSTART;VALUE=DATE:20271399"], "can't be read"),
        (["DTSTART;VALUE=DATE:20270101", "DTEND;VALUE=DATE:20270103", "RDATE;VALUE=DATE:99991231"], "between 1970 and 2999"),
    ],
)
def test_an_event_that_is_no_day_is_refused_with_its_line(tenant: Tenant, lines: list[str], said: str) -> None:
    assert said in refused(make_calendar(tenant, at=NOW), event(*lines))["line 3"]


def test_what_is_no_calendar_or_asks_for_too_many_years_is_refused(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    assert list(refused(calendar, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART")) == ["file"]
    assert list(refused(calendar, YEARLY, from_year=2027, to_year=2090)) == ["to_year"]
    assert list(refused(calendar, TABLE, from_year=2028, to_year=2027)) == ["to_year"]


def test_the_page_shows_a_preview_and_imports_only_what_was_seen(client: Client, tenant: Tenant) -> None:
    client.force_login(make_staff(tenant, Role.OPERATOR))
    calendar = make_calendar(tenant, at=NOW)
    page = f"/admin/routing/businesscalendar/{calendar.pk}/import-file/"
    assert 'accept=".csv,.ics' in client.get(page).content.decode()
    assert page in client.get(f"/admin/routing/businesscalendar/{calendar.pk}/change/").content.decode()
    wrong = client.post(page, {"file": SimpleUploadedFile("a.csv", b"date,name\n1/2/2027,A\n")})
    assert (wrong.status_code, "Line 2: " in wrong.content.decode()) == (422, True)
    seen = client.post(page, {"file": SimpleUploadedFile("a.csv", TABLE.encode("gb18030"))})
    assert ("元旦" in seen.content.decode(), calendar.days.count()) == (True, 0)
    confirmed = {"data": seen.context["data"], "version": seen.context["version"], "apply": "1"}
    BusinessCalendar.objects.filter(pk=calendar.pk).update(version=7)
    late = client.post(page, confirmed)
    assert (late.status_code, "changed in the meantime" in late.content.decode(), calendar.days.count()) == (409, True, 0)
    assert client.post(page, {**confirmed, "version": late.context["version"]}).status_code == 302
    assert calendar.days.count() == 3


def test_a_file_is_imported_over_the_api(api: Api, tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    here, body = (
        f"/api/business-calendars/{calendar.pk}/import-file/",
        CsvBody(b"date,name,kind,hours\n2027-01-02,Sale,working,10:00-16:00\n"),
    )
    tried = json_of(api.post(here, body, query_params={"dry_run": "true"}))
    assert (tried["added"], calendar.days.count()) == (
        [{"day": "2027-01-02", "kind": "working", "name": "Sale", "hours": [["10:00", "16:00"]]}],
        0,
    )
    assert len(json_of(api.post(here, body))["added"]) == 1
    assert json_of(api.post(here, body))["same"] == 1
    assert fields_of(api.post(here, CsvBody(b"tomorrow"))) == ["line 1"]
    ics = api.post(here, event("DTSTART;VALUE=DATE:20270501").encode(), content_type="text/calendar", query_params={"replace": "true"})
    assert (json_of(ics)["format"], [row["day"] for row in json_of(ics)["removed"]]) == ("ics", ["2027-01-02"])
    assert make_api(tenant, "service_levels:read").post(here, body).status_code == 403
    assert make_api(make_tenant("Other")).post(here, body).status_code == 404


def test_of_two_who_confirm_the_same_preview_one_imports(tenant: Tenant) -> None:
    calendar = make_calendar(tenant, at=NOW)
    file = DayFile(TABLE.encode())
    file_importing.import_file(calendar=calendar, file=file, version=0, by=TESTER, now=NOW)
    with pytest.raises(Conflict, match="changed in the meantime"):
        file_importing.import_file(calendar=calendar, file=file, version=0, by=TESTER, now=NOW)
