"""A report: the figures of some days, grouped by one thing, with a row for all together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from uuid import UUID

from django.db import models
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _

from routing.desk.reports.facts import Fact, collect, read
from routing.desk.reports.measures import Measures
from routing.desk.reports.ranges import Days
from routing.models import Agent, Entrance, Intent, SkillGroup


class By(models.TextChoices):
    """What a report is grouped by."""

    DAY = "day", gettext_lazy("Day")
    AGENT = "agent", gettext_lazy("Agent")
    GROUP = "group", gettext_lazy("Skill group")
    INTENT = "intent", gettext_lazy("Intent")
    ENTRANCE = "entrance", gettext_lazy("Entrance")


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its name, which is an attribute of `Measures`, its title, and how it is shown: count, seconds or percent."""

    name: str
    title: Any
    form: str


COLUMNS = (
    Column("received", pgettext_lazy("conversations", "Received"), "count"),
    Column("resolved", pgettext_lazy("conversations", "Resolved"), "count"),
    Column("first_response_median_seconds", gettext_lazy("First response, median"), "seconds"),
    Column("first_response_p90_seconds", gettext_lazy("First response, 90 %"), "seconds"),
    Column("resolution_median_seconds", gettext_lazy("Resolution, median"), "seconds"),
    Column("sla_met_percent", gettext_lazy("Service levels met"), "percent"),
    Column("csat_percent", gettext_lazy("Satisfied"), "percent"),
    Column("ratings", gettext_lazy("Ratings"), "count"),
    Column("deflection_percent", gettext_lazy("Solved by the bot"), "percent"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report. `key` is what the API names: a day, an id, a short name; empty: without one."""

    key: str
    label: str
    measures: Measures

    def figures(self) -> dict[str, Any]:
        """Return the figures by their names."""
        return {column.name: getattr(self.measures, column.name) for column in COLUMNS}


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of a report, and all of it in one row."""

    by: By
    days: Days
    rows: list[Row]
    total: Row


def report(tenant_id: int, *, by: By, days: Days, group_id: UUID | None = None) -> Report:
    """Return the figures of some days; four queries and one for the names, whatever the range."""
    facts = list(read(tenant_id, since=days.since, until=days.until, group_id=group_id))
    found = collect(facts, _key(by, days))
    total = collect(facts, lambda _fact: "").get("", Measures())
    rows = _by_day(found, days) if by == By.DAY else _named(tenant_id, by, found)
    return Report(by, days, rows, Row("", _("All"), total))


def _key(by: By, days: Days) -> Callable[[Fact], Any]:
    if by == By.DAY:
        return lambda fact: fact.at.astimezone(days.zone).date()
    return lambda fact: str(getattr(fact, by.value) or "")


def _by_day(found: Mapping[date, Measures], days: Days) -> list[Row]:
    """Return a row for each day, also for those on which nothing happened."""
    return [Row(day.isoformat(), day.isoformat(), found.get(day, Measures())) for day in days.each()]


def _named(tenant_id: int, by: By, found: Mapping[str, Measures]) -> list[Row]:
    """Return the rows with the most conversations first; what has no agent, group or intent comes last."""
    names = _names(tenant_id, by)
    without = {By.AGENT: _("No agent"), By.GROUP: _("No group"), By.INTENT: _("No intent")}.get(by, "–")
    rows = [Row(key, names.get(key, key) if key else without, measures) for key, measures in found.items()]
    return sorted(rows, key=lambda row: (not row.key, -row.measures.received, row.label))


def _names(tenant_id: int, by: By) -> dict[str, str]:
    if by == By.INTENT:
        return intent_titles(tenant_id)
    model, title = {By.AGENT: (Agent, "name"), By.GROUP: (SkillGroup, "title"), By.ENTRANCE: (Entrance, "name")}[by]
    rows = cast("Any", model).objects.filter(tenant_id=tenant_id).order_by().values_list("pk", title)
    return {str(pk): str(name) for pk, name in rows}


def intent_titles(tenant_id: int) -> dict[str, str]:
    """Return what intents are called in the reader's language, by their short names."""
    is_chinese = (get_language() or "").startswith("zh")
    rows = Intent.objects.filter(tenant_id=tenant_id).order_by().values_list("name", "title", "title_zh")
    return {name: (is_chinese and title_zh) or title for name, title, title_zh in rows}
