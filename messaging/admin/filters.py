"""Filters of the lists of messages and batches."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from accounts.staff.lists import as_uuid
from accounts.staff.tenant_admin import own_rows
from messaging import selectors
from messaging.models import IN_PROGRESS, Batch, Message, Status, Template
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
    """By age; an id begins with its time, so the primary key answers it."""

    title = gettext_lazy("accepted")
    parameter_name = "since"
    SPANS = {
        "hour": (timedelta(hours=1), gettext_lazy("Last hour")),
        "day": (timedelta(days=1), gettext_lazy("Last 24 hours")),
        "week": (timedelta(days=7), gettext_lazy("Last 7 days")),
        "month": (timedelta(days=30), gettext_lazy("Last 30 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, word) for name, (_span, word) in self.SPANS.items()]

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Any]") -> "models.QuerySet[Any]":
        if self.value() is None:
            return queryset
        if self.value() not in self.SPANS:
            raise IncorrectLookupParameters
        return queryset.filter(pk__gte=first_id_at(timezone.now() - self.SPANS[str(self.value())][0]))


class TemplateFilter(admin.SimpleListFilter):
    """By template, whichever of its versions."""

    title = gettext_lazy("template")
    parameter_name = "template"
    MOST = 100

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        templates = own_rows(request, Template.objects.all()).order_by("name").values_list("name", flat=True).distinct()
        return [(name, name) for name in templates[: self.MOST]]

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
    """By one batch; offered only when one came from its page."""

    title = gettext_lazy("batch")
    parameter_name = "batch"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wanted = as_uuid(request.GET.get("batch", ""))
        found = own_rows(request, Batch.objects.filter(pk=wanted)).first() if wanted else None
        return [(str(found.pk), str(found))] if found else []

    def queryset(self, request: HttpRequest, queryset: "models.QuerySet[Message]") -> "models.QuerySet[Message]":
        wanted = as_uuid(self.value() or "")
        return queryset.filter(batch_id=wanted) if wanted else queryset
