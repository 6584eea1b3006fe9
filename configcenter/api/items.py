"""Free-form items over the API: `/api/config/items/{namespace}/{group}/{data_id}/…`, with the verbs of the modules.

A key reaches its own tenant's namespaces by their name; one of a tenant that operates the installation also reaches the installation's,
as `installation.NAME`. Everything else is not found.
"""

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.scopes import SandboxSafe
from accounts.selectors import get_tenant
from accounts.services.audit import Actor
from configcenter import selectors
from configcenter.api import item_shapes, modules, rollout
from configcenter.models import ConfigItem, ConfigNamespace
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from configcenter.services import drafts, items, namespaces, releases
from configcenter.services.changes import md5_of
from posthaste.lib.filters import StrictFilterSet, TruthFilter
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Forbidden, Invalid, NotFound

WRONG = serializers.ListField(child=serializers.DictField(), help_text="What is wrong in the draft; it is kept, and not published.")

#: What the answer to a change shows of an item to keys that may not read it.
NAMED = ("namespace", "group", "data_id")
CHANGED = {
    "type": "object",
    "properties": {
        "item": readable_or(item_shapes.ItemDetail, *NAMED),
        "errors": {"type": "array", "items": {"type": "object", "additionalProperties": {}}, "description": WRONG.help_text},
    },
    "required": ["item", "errors"],
}


class ItemFilter(StrictFilterSet):
    """`?namespace=public&group=DEFAULT_GROUP&search=shop`."""

    namespace = django_filters.CharFilter(method="by_namespace", help_text="As addresses name it.")
    group = django_filters.CharFilter(help_text="Exactly.")
    data_id = django_filters.CharFilter(help_text="Exactly.")
    search = django_filters.CharFilter(method="by_words", help_text="Part of the data id or of the description.")
    in_force = TruthFilter(field_name="current", lookup_expr="isnull", exclude=True)

    class Meta:
        model = ConfigItem
        fields: list[str] = []

    def by_namespace(self, rows: "QuerySet[ConfigItem]", _name: str, value: str) -> "QuerySet[ConfigItem]":
        assert self.request is not None
        place = namespaces.place(self.request.user, value)
        return rows.filter(Q(namespace__tenant_id=place.tenant_id), namespace__slug=place.slug)

    def by_words(self, rows: "QuerySet[ConfigItem]", _name: str, value: str) -> "QuerySet[ConfigItem]":
        return rows.filter(Q(data_id__icontains=value) | Q(description__icontains=value))


class ItemCollection(ListModelMixin, TenantView):
    """`/api/config/items/`."""

    scopes = {"GET": CONFIG_READ, "POST": CONFIG_WRITE}
    queryset = ConfigItem.objects.none()
    serializer_class = item_shapes.ItemOut
    pagination_class = CursorPages
    filterset_class = ItemFilter

    def get_queryset(self) -> "QuerySet[ConfigItem]":
        return selectors.reached_items(self.caller)

    @extend_schema(summary="List free-form items", description="Newest first, without their texts.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(
        summary="Make an item",
        description="It is not in force before it is published. `content`, where it is given, becomes the draft.",
        request=item_shapes.ItemIn,
        responses={201: item_shapes.ItemDetail},
    )
    def post(self, request: Request) -> Response:
        values = self.validated(item_shapes.ItemIn)
        content = values.pop("content")
        with transaction.atomic():  # an item whose text can't be stored is not made
            values["namespace"] = _namespace_of(self.caller, values["namespace"])
            item = items.create_item(**values, by=Actor.of_request(request))
            if content is not None:
                item = drafts.save_draft(item=item, content=content, based_on=0, by=Actor.of_request(request), now=timezone.now())
        return Response(item_shapes.ItemDetail(item, context=self.get_serializer_context()).data, status=201)


def _namespace_of(caller: namespaces.Reader, name: str) -> ConfigNamespace:
    try:
        return namespaces.writable(caller, name)
    except (NotFound, Forbidden) as error:
        raise Invalid.field("namespace", str(error.detail)) from None


class FreeItem(modules.ItemView):
    """Base: the item that an address names."""

    def item(self) -> ConfigItem:
        """Return the item of the address.

        Raises:
            NotFound: there is none, or it is not this key's business.
        """
        group, data_id = self.kwargs["group"], self.kwargs["data_id"]
        place = namespaces.place(self.caller, self.kwargs["namespace"])
        where = Q(namespace__tenant_id=place.tenant_id), Q(namespace__slug=place.slug), Q(group=group), Q(data_id=data_id)
        found = None if "\0" in group + data_id + place.slug else selectors.reached_items(self.caller).filter(*where).first()
        if found is None:
            raise NotFound(_("There is no item {item}.").format(item=f"{self.kwargs['namespace']}/{group}/{data_id}"))
        return found


class ItemDetails(FreeItem):
    """`/api/config/items/{namespace}/{group}/{data_id}/`."""

    scopes = {"GET": CONFIG_READ, "PATCH": CONFIG_WRITE, "DELETE": CONFIG_PUBLISH}
    serializer_class = item_shapes.ItemDetail

    @extend_schema(summary="One item: the text in force, its draft, its fingerprint", responses=item_shapes.ItemDetail)
    def get(self, request: Request, **at: str) -> Response:
        return Response(self.get_serializer(self.item()).data)

    @extend_schema(
        summary="Change the format or the description",
        description="422 when what is in force is not valid in the new format. `errors` names what is wrong in the draft then.",
        request=item_shapes.ItemChangeIn,
        responses={200: CHANGED},
    )
    def patch(self, request: Request, **at: str) -> Response:
        values = self.validated(item_shapes.ItemChangeIn)
        item = items.change_item(item=self.item(), by=self.by, **values)
        # The draft may be another user's: what is wrong in it is quoted only to those who may read it.
        wrong = [] if item.draft is None else modules.wrong_in(item, item.draft, is_secret=not self.caller.may(CONFIG_READ))
        shown = self.readable(self.get_serializer(item).data, scope=CONFIG_READ, always=NAMED)
        return Response({"item": shown, "errors": wrong})

    @extend_schema(
        summary="Take an item out of force",
        description="Its draft goes, its history stays: it can be rolled back to. 409 when nothing of it is in force.",
        responses={200: modules.RELEASE},
    )
    def delete(self, request: Request, **at: str) -> Response:
        return self.released(releases.remove(item=self.item(), comment="", by=self.by))


class ItemDraft(FreeItem):
    """`…/draft/`."""

    scopes = {"PUT": CONFIG_WRITE, "DELETE": CONFIG_WRITE}

    @extend_schema(
        summary="Save the draft",
        description="A draft may be invalid; `errors` of the answer names what is wrong. 409 if another user saved meanwhile.",
        request=item_shapes.ItemDraftIn,
        responses=inline_serializer("ItemDraftSaved", {"draft": item_shapes.ItemDraftOut(), "errors": WRONG}),
    )
    def put(self, request: Request, **at: str) -> Response:
        values = self.validated(item_shapes.ItemDraftIn)
        item = drafts.save_draft(item=self.item(), now=timezone.now(), **values, by=self.by)
        return Response({"draft": item_shapes.draft_of(item), "errors": modules.wrong_in(item, values["content"])})

    @extend_schema(summary="Throw the draft away", responses={200: item_shapes.ItemDraftOut})
    def delete(self, request: Request, **at: str) -> Response:
        return Response(item_shapes.draft_of(drafts.discard_draft(item=self.item(), by=self.by)))


class ItemValidate(FreeItem):
    """`…/validate/`."""

    scopes = {"POST": CONFIG_READ}
    sandbox_safe = {"POST": SandboxSafe.READS}

    @extend_schema(
        summary="Check a text",
        description="422 says what is wrong with it in the item's format.",
        request=item_shapes.ItemTextIn,
        responses=inline_serializer("ItemValidated", {"content": serializers.CharField(), "md5": serializers.CharField()}),
    )
    def post(self, request: Request, **at: str) -> Response:
        text, item = self.validated(item_shapes.ItemTextIn)["content"], self.item()
        items.validate(item, text)
        return Response({"content": text, "md5": md5_of(text)})


class ItemPublish(FreeItem):
    """`…/publish/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Publish",
        description="The draft, or `content`. Nacos clients that listen have it within a second.",
        request=item_shapes.ItemPublishIn,
        responses={201: modules.RELEASE},
    )
    def post(self, request: Request, **at: str) -> Response:
        release = releases.publish(item=self.item(), **self.validated(item_shapes.ItemPublishIn), by=self.by)
        return self.released(release, status=201)


class ItemRollback(FreeItem, modules.ModuleRollback):
    """`…/rollback/`."""


class ItemReleases(FreeItem, modules.ModuleReleases):
    """`…/releases/`."""


class ItemRelease(FreeItem, modules.ModuleRelease):
    """`…/releases/{number}/`."""


class ItemDiff(FreeItem, modules.ModuleDiff):
    """`…/diff/`."""


class ItemListeners(FreeItem):
    """`…/listeners/`."""

    scopes = {"GET": CONFIG_READ}

    @extend_schema(
        summary="Which Nacos clients listen to it",
        description="And the text that each has, by its md5; those with an old one first. 503 while Redis is away.",
        responses=item_shapes.ListeningOut,
    )
    def get(self, request: Request, **at: str) -> Response:
        return Response(item_shapes.ListeningOut(selectors.listening(self.item())).data)


# A gray release of an item is started in the console or by a Nacos client; but one that blocks a publish can be ended here.
class ItemGrayPromote(FreeItem, rollout.ModuleGrayPromote):
    """`…/gray/promote/`."""


class ItemGrayAbandon(FreeItem, rollout.ModuleGrayAbandon):
    """`…/gray/abandon/`."""


# --- namespaces ----------------------------------------------------------------------------------------------------


class NamespaceCollection(ListModelMixin, TenantView):
    """`/api/config/namespaces/`."""

    scopes = {"GET": CONFIG_READ, "POST": CONFIG_WRITE}
    queryset = ConfigNamespace.objects.none()
    serializer_class = item_shapes.NamespaceOut
    pagination_class = CursorPages
    filter_backends = ()

    def get_queryset(self) -> "QuerySet[ConfigNamespace]":
        return selectors.reached_namespaces(self.caller)

    @extend_schema(summary="List namespaces", description="Newest first. `public` is there as soon as it is used.")
    def get(self, request: Request) -> Response:
        return self.list(request)

    @extend_schema(summary="Make a namespace", request=item_shapes.NamespaceIn, responses={201: item_shapes.NamespaceOut})
    def post(self, request: Request) -> Response:
        values = self.validated(item_shapes.NamespaceIn)
        place = namespaces.place(self.caller, values.pop("namespace"))
        tenant = None if place.tenant_id is None else get_tenant(place.tenant_id)
        try:
            made = items.create_namespace(tenant=tenant, slug=place.slug, by=Actor.of_request(request), **values)
        except Invalid as error:
            raise error.renamed({"slug": "namespace"}) from None
        return Response(self.get_serializer(made).data, status=201)


class NamespaceItem(TenantView):
    """`/api/config/namespaces/{namespace}/`."""

    scopes = {"DELETE": CONFIG_PUBLISH}
    queryset = ConfigNamespace.objects.none()
    serializer_class = item_shapes.NamespaceOut
    filter_backends = ()

    @extend_schema(
        summary="Delete an empty namespace",
        description="With the history of what was in it. 409 while something in it is in force or being edited.",
        responses={204: None},
    )
    def delete(self, request: Request, namespace: str) -> Response:
        place = namespaces.place(self.caller, namespace)
        rows = selectors.reached_namespaces(self.caller).filter(Q(tenant_id=place.tenant_id), slug=place.slug)
        found = None if "\0" in place.slug else rows.first()
        if found is None:
            raise NotFound(_("There is no namespace {slug}.").format(slug=namespace))
        items.delete_namespace(namespace=found, by=Actor.of_request(request))
        return Response(status=204)
