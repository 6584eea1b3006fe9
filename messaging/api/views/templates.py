"""Templates: drafts, versions, publishing, previews."""

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.scopes import SandboxSafe
from accounts.services.audit import Actor
from messaging import selectors
from messaging.api import serializers as s
from messaging.api.filters import TemplateFilter
from messaging.content import editing, templates
from messaging.models import Template, TemplateVersion
from messaging.scopes import TEMPLATES_READ, TEMPLATES_WRITE
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import NotFound

#: The answers to changes.
TEMPLATE = {200: readable_or(s.TemplateOut, "name", "is_archived")}
VERSION = {200: readable_or(s.VersionOut, "number", "state")}


class TemplateView(TenantView):
    """Base: the tenant's templates, found by name."""

    queryset = Template.objects.none()
    serializer_class = s.TemplateOut
    lookup_field = "name"
    lookup_url_kwarg = "name"

    def get_queryset(self) -> "QuerySet[Template]":
        return selectors.templates(self.tenant_id).prefetch_related("versions")


class TemplateCollection(ListModelMixin, TemplateView):
    """`/api/templates/`."""

    scopes = {"GET": TEMPLATES_READ, "POST": TEMPLATES_WRITE}
    pagination_class = CursorPages
    filterset_class = TemplateFilter

    @extend_schema(summary="List templates")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make a template",
        description="With its first draft; `publish: true` publishes it at once.",
        request=s.TemplateIn,
        responses={201: s.TemplateOut},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(s.TemplateIn)
        described = {name: values[name] for name in ("name", "channel", "category", "description")}
        wording = {name: values[name] for name in ("subject", "body", "html", "variables")}
        template = Template(tenant_id=self.tenant_id, **described)
        editing.create_template(template=template, wording=wording, publish=values["publish"], by=Actor.of_request(request))
        return Response(s.TemplateOut(self.get_queryset().get(pk=template.pk)).data, status=201)


class TemplateItem(RetrieveModelMixin, TemplateView):
    """`/api/templates/{name}/`."""

    scopes = {"GET": TEMPLATES_READ, "PATCH": TEMPLATES_WRITE}

    @extend_schema(summary="One template")
    def get(self, request: Request, name: str) -> Response:
        return self.retrieve(request)

    @extend_schema(summary="Describe or archive a template", request=s.TemplateChange, responses=TEMPLATE)
    def patch(self, request: Request, name: str) -> Response:
        template = self.get_object()
        editing.change_template(template=template, changes=self.validated(s.TemplateChange, partial=True), by=Actor.of_request(request))
        return Response(self.readable(s.TemplateOut(template).data, scope=TEMPLATES_READ, always=("name", "is_archived")))


class TemplateDraft(TemplateView):
    """`/api/templates/{name}/draft/`."""

    scopes = {"PUT": TEMPLATES_WRITE}

    @extend_schema(
        summary="Write the draft", description="Makes the next version where there is no draft.", request=s.DraftIn, responses=VERSION
    )
    def put(self, request: Request, name: str) -> Response:
        template = self.get_object()
        draft = editing.save_draft(template=template, wording=self.validated(s.DraftIn), by=Actor.of_request(request))
        return Response(self.readable(s.VersionOut(draft).data, scope=TEMPLATES_READ, always=("number", "state")))


class TemplatePublish(TemplateView):
    """`/api/templates/{name}/publish/`."""

    scopes = {"POST": TEMPLATES_WRITE}

    @extend_schema(
        summary="Publish the draft",
        description="New messages use it; those under way keep their version.",
        request=None,
        responses=VERSION,
    )
    def post(self, request: Request, name: str) -> Response:
        template = self.get_object()
        version = editing.publish_draft(template=template, by=Actor.of_request(request))
        return Response(self.readable(s.VersionOut(version).data, scope=TEMPLATES_READ, always=("number", "state")))


class TemplateVersions(TemplateView):
    """`/api/templates/{name}/versions/`."""

    scopes = {"GET": TEMPLATES_READ}
    pagination_class = None

    @extend_schema(summary="All versions", description="Newest first.", responses=s.VersionOut(many=True))
    def get(self, request: Request, name: str) -> Response:
        return Response(s.VersionOut(self.get_object().versions.order_by("-number"), many=True).data)


class TemplatePreview(TemplateView):
    """`/api/templates/{name}/preview/`."""

    scopes = {"POST": TEMPLATES_READ}
    sandbox_safe = {"POST": SandboxSafe.READS}

    @extend_schema(
        summary="Preview",
        description="Rendered with the examples, overridden by `variables`; SMS with its segments.",
        request=s.PreviewIn,
        responses=s.PreviewOut,
    )
    def post(self, request: Request, name: str) -> Response:
        template = self.get_object()
        values = self.validated(s.PreviewIn)
        versions = template.versions.select_related("template")
        if "version" in values:
            version = versions.filter(number=values["version"]).first()
        else:
            version = (
                versions.filter(state=TemplateVersion.State.DRAFT).first() or versions.filter(state=TemplateVersion.State.PUBLISHED).first()
            )
        if version is None:
            raise NotFound(_("There is no such version."))
        return Response(templates.preview(version=version, variables=values["variables"]))
