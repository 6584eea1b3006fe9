"""The rows of a list in the admin as CSV: those that the page shows, of the reader's own tenants, with its filters, recipients masked.

A page shortens what it shows and puts two things in a cell. Where that matters, the list names the columns of its file, one fact each:
ids whole, numbers and times as machines read them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import display_for_field, label_for_field, lookup_field
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.actions import Action
from accounts.services import audit
from accounts.services.audit import Actor
from accounts.staff.lists import MAX_EXPORTED
from posthaste.ui.export import as_csv

ROWS_AT_ONCE = 500


def note_export(request: HttpRequest, *, target: str, filters: Iterable[str]) -> None:
    """Note in the audit trail who takes a list as a file. Only the filters are named: what was searched for may be a recipient."""
    audit.record(by=Actor.of_request(request), action=Action.LIST_EXPORT, target=target, detail={"filters": sorted(filters)})


class Exported(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin whose list can be kept as a file."""

    #: Columns that only make sense on the page, such as those of buttons.
    not_exported: tuple[str, ...] = ()
    #: The columns of a file, where the page shortens what they hold; otherwise those of the page.
    exported: tuple[str, ...] = ()

    def get_urls(self) -> Any:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(require_safe(self.export)), name=name), *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Write the rows of the list, newest first, `MAX_EXPORTED` at most, and note in the audit trail who took them."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        try:
            found: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        columns = [name for name in self.exported or self.get_list_display(request) if name not in self.not_exported]
        heads = [capfirst(str(label_for_field(name, self.model, model_admin=self))) for name in columns]
        if request.method == "HEAD":
            return HttpResponse(content_type="text/csv; charset=utf-8")
        note_export(request, target=self.opts.label_lower, filters=found.filter_params)
        rows = found.get_queryset(request)
        cells = ([self._cell(row, name) for name in columns] for row in self._newest_first(request, rows))
        return as_csv(name=str(self.opts.model_name), heads=heads, rows=cells)

    def _newest_first(self, request: HttpRequest, rows: "models.QuerySet[Any]") -> Iterator[models.Model]:
        prepare = getattr(self, "prepare", None)
        rows, behind = rows.order_by("-pk"), None
        for _chunk in range(MAX_EXPORTED // ROWS_AT_ONCE):
            found = list((rows if behind is None else rows.filter(pk__lt=behind))[:ROWS_AT_ONCE])
            if prepare is not None:
                prepare(request, found)
            yield from found
            if len(found) < ROWS_AT_ONCE:
                return
            behind = found[-1].pk

    def _cell(self, row: models.Model, name: Any) -> Any:
        try:
            field, _attribute, value = lookup_field(name, row, self)
        except ObjectDoesNotExist:
            return ""
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        if field is None or not field.flatchoices:
            return value
        return display_for_field(value, field, "")
