"""The FAQ over the API: what is published, searched; entries written, reviewed, published; a file of them."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView
from accounts.services.audit import Actor
from posthaste.lib.pagination import CursorPages
from routing.api.faq import shapes
from routing.api.faq.filters import EntryFilter, PublishedFilter
from routing.api.intents.csv_bodies import CsvParser, FileParser
from routing.faq import csv_files, editing, published, reading, review, search
from routing.models import FaqEntry
from routing.scopes import FAQ_READ, FAQ_WRITE


class PublishedView(TenantView):
    """Base: what is published of the tenant's FAQ."""

    queryset = FaqEntry.objects.none()
    serializer_class = shapes.PublishedOut

    def get_queryset(self) -> "QuerySet[FaqEntry]":
        return published.entries(self.tenant_id).order_by("-pk")


class PublishedCollection(ListModelMixin, PublishedView):
    """`/api/faq/`."""

    scopes = {"GET": FAQ_READ}
    pagination_class = CursorPages
    filterset_class = PublishedFilter

    @extend_schema(summary="List the published FAQ", description="As customers see it, newest first.")
    def get(self, request: Request) -> Response:
        return self.list(request)


class PublishedItem(RetrieveModelMixin, PublishedView):
    """`/api/faq/{id}/`."""

    scopes = {"GET": FAQ_READ}

    @extend_schema(summary="One published entry of the FAQ")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)


class FaqSearch(TenantView):
    """`/api/faq/search/`."""

    scopes = {"GET": FAQ_READ}
    queries = {"GET": shapes.SearchQuery}

    @extend_schema(
        summary="Search the published FAQ",
        description="By what the question means, in any words. The first search of a process takes some seconds.",
        parameters=[shapes.SearchQuery],
        responses=shapes.SearchOut,
    )
    def get(self, request: Request) -> Response:
        asked = self.asked()
        found = search.find(self.tenant_id, asked["q"], asked.get("language", ""), asked["limit"])
        results = [
            {
                "id": each.entry.id,
                "slug": each.entry.slug,
                "language": each.entry.language,
                "category": each.entry.category,
                "question": each.entry.question,
                "answer": each.entry.answer,
                "score": each.score,
            }
            for each in found
        ]
        return Response(shapes.SearchOut({"results": results}).data)


class EntryView(TenantView):
    """Base: all entries of the tenant's FAQ."""

    queryset = FaqEntry.objects.none()
    serializer_class = shapes.EntryOut

    def get_queryset(self) -> "QuerySet[FaqEntry]":
        return reading.drafts_and_published(self.tenant_id)


class EntryCollection(ListModelMixin, EntryView):
    """`/api/faq/entries/`."""

    scopes = {"GET": FAQ_WRITE, "POST": FAQ_WRITE}
    pagination_class = CursorPages
    filterset_class = EntryFilter

    @extend_schema(summary="List entries of the FAQ", description="Also drafts, newest first, with their figures.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Create an entry of the FAQ", description="It is a draft.", request=shapes.EntryIn, responses={201: shapes.EntryOut}
    )
    def post(self, request: Request) -> Response:
        values = self.validated(shapes.EntryIn)
        entry = editing.create_entry(tenant_id=self.tenant_id, values=values, by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.EntryOut(entry).data, status=201)


class EntryItem(RetrieveModelMixin, EntryView):
    """`/api/faq/entries/{id}/`."""

    scopes = {"GET": FAQ_WRITE, "PATCH": FAQ_WRITE, "DELETE": FAQ_WRITE}

    @extend_schema(summary="One entry of the FAQ")
    def get(self, request: Request, id: str) -> Response:
        return self.retrieve(request)

    @extend_schema(
        summary="Change an entry of the FAQ",
        description="Another text makes it a draft. What is published stays until the entry is published again.",
        request=shapes.EntryChangeIn,
        responses={200: shapes.EntryOut},
    )
    def patch(self, request: Request, id: str) -> Response:
        entry, changes = self.get_object(), self.validated(shapes.EntryChangeIn)
        changed = editing.change_entry(entry=entry, changes=changes, by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.EntryOut(changed).data)

    @extend_schema(summary="Delete an entry of the FAQ", description="One that is not published.", request=None, responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        editing.delete_entry(entry=self.get_object(), by=Actor.of_request(request))
        return Response(status=204)


class Step(EntryView):
    """Base: an entry goes one step on or back."""

    scopes = {"POST": FAQ_WRITE}
    take: ClassVar[Callable[..., FaqEntry]]

    def taken(self, request: Request) -> Response:
        """Take the step and show the entry."""
        entry = type(self).take(entry=self.get_object(), by=Actor.of_request(request), now=timezone.now())
        return Response(shapes.EntryOut(entry).data)


class EntrySubmit(Step):
    """`/api/faq/entries/{id}/submit/`."""

    take = staticmethod(review.submit_entry)

    @extend_schema(summary="Offer a draft for review", request=None, responses={200: shapes.EntryOut})
    def post(self, request: Request, id: str) -> Response:
        return self.taken(request)


class EntryReturn(Step):
    """`/api/faq/entries/{id}/return/`."""

    take = staticmethod(review.return_entry)

    @extend_schema(summary="Return an entry in review", description="It is a draft again.", request=None, responses={200: shapes.EntryOut})
    def post(self, request: Request, id: str) -> Response:
        return self.taken(request)


class EntryPublish(Step):
    """`/api/faq/entries/{id}/publish/`."""

    take = staticmethod(review.publish_entry)

    @extend_schema(
        summary="Publish an entry",
        description="Customers see it, and the bot answers with it within seconds. Where two people publish, it needs a review, and "
        "another key or person than the one that wrote it.",
        request=None,
        responses={200: shapes.EntryOut},
    )
    def post(self, request: Request, id: str) -> Response:
        return self.taken(request)


class EntryArchive(Step):
    """`/api/faq/entries/{id}/archive/`."""

    take = staticmethod(review.archive_entry)

    @extend_schema(
        summary="Archive an entry", description="Customers do not see it any more.", request=None, responses={200: shapes.EntryOut}
    )
    def post(self, request: Request, id: str) -> Response:
        return self.taken(request)


class EntryRestore(Step):
    """`/api/faq/entries/{id}/restore/`."""

    take = staticmethod(review.restore_entry)

    @extend_schema(summary="Restore an entry of the archive", description="As a draft.", request=None, responses={200: shapes.EntryOut})
    def post(self, request: Request, id: str) -> Response:
        return self.taken(request)


class FaqImport(TenantView):
    """`/api/faq/import/`."""

    scopes = {"POST": FAQ_WRITE}
    parser_classes = (CsvParser, FileParser)
    queries = {"POST": shapes.FaqImportQuery}

    @extend_schema(
        summary="Import entries of the FAQ from a CSV file",
        description="Columns `question` and `answer`, and if you like `slug`, `language`, `category`, `intent` and `phrasings` (one "
        "per line of the cell). An entry with the same `slug` and `language` is changed. All become drafts; a file with an error is "
        "refused whole. The file is the body, or the part `file` of a form.",
        parameters=[shapes.FaqImportQuery],
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}},
        },
        responses={200: shapes.FaqImportOut},
    )
    def post(self, request: Request) -> Response:
        asked: dict[str, Any] = self.asked()
        content = request.data if isinstance(request.data, bytes) else b""  # of a request without a body nothing is parsed
        report = csv_files.check_file(tenant_id=self.tenant_id, content=content)
        if not asked["dry_run"]:
            csv_files.import_file(tenant_id=self.tenant_id, report=report, by=Actor.of_request(request), now=timezone.now())
        return Response({**report.as_dict(), "is_stored": not asked["dry_run"]})
