"""Cursor pages by id: the id sorts by time, so a page costs the same however deep it lies."""

import base64
import binascii
import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from posthaste.lib.problems import Invalid

DEFAULT_SIZE = 50
MOST = 200
LIMIT = re.compile("[0-9]{1,3}")


def _encode(direction: str, key: object) -> str:
    return base64.urlsafe_b64encode(f"{direction}{key}".encode()).decode().rstrip("=")


class CursorPages(BasePagination):
    """`?limit=&cursor=`; answers `{results, next, previous}` where next and previous are cursors or null."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.limit = self._limit(request)
        direction, key = self._cursor(request, queryset)
        newest_first = direction != "p"
        rows = queryset.order_by("-pk" if newest_first else "pk")
        if key is not None:
            rows = rows.filter(pk__lt=key) if newest_first else rows.filter(pk__gt=key)
        found = list(rows[: self.limit + 1])
        more, found = len(found) > self.limit, found[: self.limit]
        if not newest_first:
            found.reverse()
        self.older = _encode("n", found[-1].pk) if found and (more or not newest_first) else None
        self.newer = _encode("p", found[0].pk) if found and ((key is not None and newest_first) or (more and not newest_first)) else None
        return found

    def _limit(self, request: Request) -> int:
        text = request.query_params.get("limit", str(DEFAULT_SIZE))
        if not LIMIT.fullmatch(text) or not 1 <= int(text) <= MOST:
            raise Invalid.field("limit", _("A number from 1 to {most}.").format(most=MOST))
        return int(text)

    def _cursor(self, request: Request, queryset: QuerySet[Any]) -> tuple[str, Any]:
        text = request.query_params.get("cursor", "")
        if not text:
            return "n", None
        try:
            plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            direction, key = plain[0], plain[1:]
            if direction not in "np":
                raise ValueError
            return direction, queryset.model._meta.pk.to_python(key)
        except (ValueError, IndexError, binascii.Error, ValidationError):
            raise Invalid.field("cursor", _("Invalid cursor. Use `next` or `previous` from an earlier response.")) from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.older, "previous": self.newer})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        cursor = {"type": ["string", "null"]}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": cursor, "previous": cursor},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_SIZE}},
            {"name": "cursor", "in": "query", "description": "`next` or `previous` of an earlier answer.", "schema": {"type": "string"}},
        ]
