"""Filters of the lists of messages and batches."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import own_rows
from messaging import selectors
from messaging.models import IN_PROGRESS, Batch, Message, Status, Template
from posthaste.lib.dates import is_in_range
from posthaste.lib.ids import first_id_at

DEAD = (Status.FAILED, Status.UNKNOWN)


class StateFilter(admin.SimpleListFilter):
    """By state, and by the two groups an operator asks for."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        groups: list[tuple[str, Any]] = [("dead", gettext_lazy("Dead letters")), ("open", gettext_lazy("In progress"))]
        return groups + Status.choices

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Message]") -> "models.QuerySet[Message]":
        match self.value():
            case None:
                return queryset
            case "dead":
                return queryset.filter(selectors.in_states(DEAD))
            case "open":
                return queryset.filter(selectors.in_states(IN_PROGRESS))
            case state if state in Status.values:
                return queryset.filter(selectors.in_states([state]))
        raise IncorrectLookupParameters


class AcceptedFilter(admin.SimpleListFilter):
    """By age, or between two times; an id begins with its time, so the primary key answers it."""

    title = gettext_lazy("accepted")
    parameter_name = "since"
    template = "admin/filter_times.html"
    START, END = "from", "until"
    SPANS = {
        "hour": (timedelta(hours=1), gettext_lazy("Last hour")),
        "day": (timedelta(days=1), gettext_lazy("Last 24 hours")),
        "week": (timedelta(days=7), gettext_lazy("Last 7 days")),
        "month": (timedelta(days=30), gettext_lazy("Last 30 days")),
    }

    def __init__(self, request: HttpRequest, params: dict[str, list[str]], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        #: As they were given; empty: no bound.
        self.given = {name: params.pop(name, [""])[-1].strip() for name in (self.START, self.END)}
        #: What the form of the range has to keep of the address.
        self.others: list[tuple[str, str]] = []

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, word) for name, (_span, word) in self.SPANS.items()]

    def expected_parameters(self) -> list[str | None]:
        return [self.parameter_name, self.START, self.END]

    def choices(self, changelist: Any) -> Any:
        own = self.expected_parameters()
        self.others = [(name, str(value)) for name, value in changelist.params.items() if name not in own]
        is_range = any(self.given.values())
        yield {
            "selected": self.value() is None and not is_range,
            "query_string": changelist.get_query_string(remove=own),
            "display": _("All"),
        }
        for name, word in self.lookup_choices:
            address = changelist.get_query_string({self.parameter_name: name}, [self.START, self.END])
            yield {"selected": self.value() == name, "query_string": address, "display": word}
        if is_range:
            start, end = (text.replace("T", " ") or "…" for text in self.given.values())
            yield {"selected": True, "query_string": changelist.get_query_string(), "display": f"{start} – {end}"}

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
        if (span := self.value()) is not None:
            if span not in self.SPANS:
                raise IncorrectLookupParameters
            queryset = queryset.filter(pk__gte=first_id_at(timezone.now() - self.SPANS[span][0]))
        if self.given[self.START]:
            queryset = queryset.filter(pk__gte=first_id_at(_time(self.given[self.START])))
        if self.given[self.END]:
            queryset = queryset.filter(pk__lt=first_id_at(_time(self.given[self.END])))
        return queryset


def _time(text: str) -> datetime:
    """Read a time as an input of the type datetime-local gives it, in UTC, or with an offset.

    Raises:
        IncorrectLookupParameters: it is none, or out of range.
    """
    try:
        value = parse_datetime(text)
    except ValueError:
        value = None
    if value is None:
        raise IncorrectLookupParameters
    value = value if timezone.is_aware(value) else value.replace(tzinfo=UTC)
    if not is_in_range(value):
        raise IncorrectLookupParameters
    return value


class TemplateFilter(admin.SimpleListFilter):
    """By template, whichever of its versions."""

    title = gettext_lazy("template")
    parameter_name = "template"
    MOST = 100

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        templates = own_rows(request, Template.objects.all()).order_by("name").values_list("name", flat=True).distinct()
        names, wanted = list(templates[: self.MOST]), self.value()
        # A filter without choices would be left out, and the list would be of all.
        return [(name, name) for name in [*names, *([wanted] if wanted and wanted not in names else [])]]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Message]") -> "models.QuerySet[Message]":
        wanted = self.value()
        return queryset.filter(template_version__template__name=wanted) if wanted else queryset


class ErrorFilter(admin.SimpleListFilter):
    """By the code of the error; offered are those of the latest messages that failed or wait."""

    title = gettext_lazy("error")
    parameter_name = "error"
    LOOKED_AT = 500

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = own_rows(request, Message.objects.filter(selectors.in_states(DEAD))).order_by("-pk")
        codes = {code for code in rows.values_list("error_code", flat=True)[: self.LOOKED_AT] if code}
        wanted = self.value()
        return [(code, code) for code in sorted(codes | ({wanted} if wanted else set()))]

    def value(self) -> str | None:
        return (super().value() or "")[:60] or None

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Message]") -> "models.QuerySet[Message]":
        wanted = self.value()
        return queryset.filter(error_code=wanted) if wanted else queryset


class BatchFilter(admin.SimpleListFilter):
    """By one batch; offered only when one came from its page. Nothing is found of a batch that is not there, or is another tenant's."""

    title = gettext_lazy("batch")
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not (given := self.value()):
            return []
        wanted = as_uuid(given)
        found = own_rows(request, Batch.objects.filter(pk=wanted)).first() if wanted else None
        return [(given, str(found) if found else given[:40])]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Message]") -> "models.QuerySet[Message]":
        if not (given := self.value()):
            return queryset
        if (wanted := as_uuid(given)) is None:
            raise IncorrectLookupParameters
        return queryset.filter(batch_id=wanted)
