"""Cheap lists in the admin: a table of millions is never counted, only up to a limit ("10,000+")."""

from typing import Any
from uuid import UUID

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property

from posthaste.ui.paginator import CURSOR, page_of

COUNT_UP_TO = 10_000
MAX_EXPORTED = 100_000  # rows of a list in a file


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Count up to a limit; rows beyond it are found with filters, not by turning pages."""

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[:COUNT_UP_TO].count())

    @property
    def is_capped(self) -> bool:
        """Whether there may be more than were counted."""
        return self.count >= COUNT_UP_TO


class OfferedFilters(ChangeList):
    """A list that an address filters only by what the page offers.

    Django takes any lookup in the model's own columns from the address. `?recipient__startswith=` would tell digit by digit what the page
    masks, and a value that the database can't take would fail as a server error.

    A list in the order of its ids has cursor pages (`posthaste.ui.paginator`): `newer` and `older` are the addresses of the pages beside
    this one. Any other order has numbered pages.
    """

    is_cursor = False
    newer = older = ""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Any:
        for name in CURSOR:  # neither a filter, nor kept by a link that changes one
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        key = self.lookup_opts.pk.name
        first = next(iter(self.queryset.query.order_by), None)  # ids differ, so what follows decides nothing
        is_descending = first in (f"-{key}", "-pk")
        if not is_descending and first not in (key, "pk"):
            super().get_results(request)
            return
        pages: Any = self.model_admin
        self.is_cursor = True
        self.paginator = pages.get_paginator(request, self.queryset, self.list_per_page)
        self.result_count, self.full_result_count = self.paginator.count, None
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = False
        found, self.newer, self.older = page_of(self.queryset, request, order=[key], is_descending=is_descending, size=self.list_per_page)
        self.multi_page = bool(self.newer or self.older)
        self.result_list = found

    def get_filters(self, request: HttpRequest) -> Any:
        if any("\0" in value for values in self.get_filters_params().values() for value in values):
            raise IncorrectLookupParameters  # PostgreSQL takes no text with it
        found = super().get_filters(request)
        for name in found[2]:  # what no filter of the page has taken
            raise DisallowedModelAdminLookup(f"Filtering by {name} not allowed")
        return found


class Rows(OfferedFilters):
    """A list that looks up what its page needs in one go, through the admin's `prepare`."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        pages: Any = self.model_admin
        pages.prepare(request, self.result_list)


def as_uuid(text: str) -> UUID | None:
    """Read a message id or trace id, or return None."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None
