"""Hot configuration over the API: `/api/config/`.

`modules/{name}/…` is the installation's: only for keys of a tenant that operates it. `modules/{name}/override/…` is what the key's own
tenant has in place of it. Both have the same verbs, so each is written once and takes its item from the address.
"""

from typing import Any

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.base import TenantView, readable_or
from accounts.scopes import SandboxSafe
from accounts.selectors import Tenant, get_tenant
from accounts.services.audit import Actor
from accounts.services.rights import must_operate
from configcenter import selectors
from configcenter.api import module_shapes
from configcenter.models import ConfigItem, ConfigRelease
from configcenter.scopes import CONFIG_PUBLISH, CONFIG_READ, CONFIG_WRITE
from configcenter.selectors import ModuleState
from configcenter.services import drafts, items, releases
from configcenter.services.doubts import doubts_of
from posthaste.lib.filters import Query, WholeNumber
from posthaste.lib.json_syntax import is_deep
from posthaste.lib.pagination import CursorPages
from posthaste.lib.problems import Invalid


def plain(text: str | None) -> Any:
    """Return a module's text as a value; a draft that is no JSON, or nested too deep for an answer, as it is."""
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return text if is_deep(value) else value


def draft_of(item: ConfigItem | None) -> dict[str, Any]:
    """Return what is being edited."""
    if item is None:
        return {"content": None, "version": 0, "author": "", "at": None}
    return {"content": plain(item.draft), "version": item.draft_version, "author": item.draft_by, "at": item.draft_at}


def module_of(state: ModuleState) -> dict[str, Any]:
    """Return the state of a module."""
    return {
        "name": state.handle.name,
        "title": _(state.handle.title),
        "purpose": _(state.handle.purpose),
        "version": state.number,
        "md5": state.release.md5 if state.release else "",
        "at": state.at,
        "author": state.author,
        "has_draft": state.has_draft,
        "per_tenant": sorted(state.handle.per_tenant),
        "gray": module_shapes.gray_of(state.item),
        "instances": {name: getattr(state, name) for name in ("expected", "running", "on_gray", "slowest_ms", "errors")},
    }


#: What the answer to a publish shows to keys that may not read the text: its md5 is a fingerprint of it.
RELEASED = ("number", "revision", "action", "comment", "author", "based_on", "at")
RELEASE = readable_or(module_shapes.ReleaseOut, *RELEASED)
WARNINGS = {
    "type": "array",
    "items": {"type": "object", "additionalProperties": {}},
    "description": "What the value names and what does not exist, by field. It is published all the same.",
}
PUBLISHED = {
    "allOf": [RELEASE, {"type": "object", "properties": {"warnings": WARNINGS}, "required": ["warnings"]}],
    "description": RELEASE["description"],
}


class ItemView(TenantView):
    """Base: one module, the installation's or what the caller's tenant overrides of it."""

    queryset = ConfigRelease.objects.none()
    serializer_class: Any = module_shapes.ReleaseOut
    filter_backends = ()
    is_override = False
    only_looks = False  # whatever the method

    @property
    def tenant(self) -> Tenant:
        """The caller's tenant."""
        return get_tenant(self.tenant_id)

    def item(self) -> ConfigItem:
        """Return the item of the address.

        Raises:
            NotFound: there is no such module, or it is not this key's business.
        """
        find = items.look_at_module_item if self.only_looks or self.request.method in SAFE_METHODS else items.module_item
        if self.is_override:
            return find(self.kwargs["name"], tenant=self.tenant)
        must_operate(self.caller)
        return find(self.kwargs["name"])

    def released(self, release: ConfigRelease, *, status: int = 200, **more: Any) -> Response:
        """Answer a change with the release that it made."""
        shown = self.readable(module_shapes.ReleaseOut(release).data, scope=CONFIG_READ, always=RELEASED)
        return Response(shown | more, status=status)

    @property
    def by(self) -> Actor:
        """The caller, as the audit trail names them."""
        return Actor.of_request(self.request)


def text_of(content: Any) -> str | None:
    """Write a value that came with a call as text, None where none came."""
    return None if content is None else orjson.dumps(content).decode()


class ModuleCollection(TenantView):
    """`/api/config/modules/`."""

    scopes = {"GET": CONFIG_READ}
    queryset = ConfigItem.objects.none()
    serializer_class = module_shapes.ModuleOut
    filter_backends = ()

    @extend_schema(summary="The state of every configuration module", responses=module_shapes.ModuleOut(many=True))
    def get(self, request: Request) -> Response:
        must_operate(self.caller)
        return Response([module_of(state) for state in selectors.module_overview()])


class ModuleItem(ItemView):
    """`/api/config/modules/{name}/`."""

    scopes = {"GET": CONFIG_READ, "DELETE": CONFIG_PUBLISH}

    @extend_schema(summary="One module: value, draft, gray release, instances, shape", responses=module_shapes.ModuleDetail)
    def get(self, request: Request, name: str) -> Response:
        must_operate(self.caller)
        state = selectors.module_state(name)
        item = state.item or self.item()
        detail = {
            "effective": plain(items.effective(item)),
            "draft": draft_of(item),
            "schema": selectors.json_schema(state.handle),
        }
        return Response(module_of(state) | detail)

    @extend_schema(summary="Back to the defaults, everywhere", responses={200: RELEASE})
    def delete(self, request: Request, name: str) -> Response:
        return self.released(releases.remove(item=self.item(), comment="", by=self.by))


class ModuleDraft(ItemView):
    """`…/draft/`."""

    scopes = {"PUT": CONFIG_WRITE, "DELETE": CONFIG_WRITE}

    @extend_schema(
        summary="Save the draft",
        description="A draft may be invalid; `errors` of the answer names what is wrong. 409 if another user saved meanwhile.",
        request=module_shapes.ModuleDraftIn,
        responses=inline_serializer(
            "DraftSaved",
            {
                "draft": module_shapes.ModuleDraftOut(),
                "errors": serializers.ListField(child=serializers.DictField()),
                "warnings": serializers.ListField(child=serializers.DictField(), help_text="What it names and what does not exist."),
            },
        ),
    )
    def put(self, request: Request, name: str) -> Response:
        values = self.validated(module_shapes.ModuleDraftIn)
        text = text_of(values["content"]) or "null"
        item = drafts.save_draft(item=self.item(), content=text, based_on=values["based_on"], now=timezone.now(), by=self.by)
        return Response({"draft": draft_of(item), "errors": wrong_in(item, text), "warnings": doubts_of(item, text)})

    @extend_schema(summary="Throw the draft away", responses={200: module_shapes.ModuleDraftOut})
    def delete(self, request: Request, name: str) -> Response:
        return Response(draft_of(drafts.discard_draft(item=self.item(), by=self.by)))


def wrong_in(item: ConfigItem, text: str, *, is_secret: bool = False) -> list[dict[str, Any]]:
    """Return what is wrong in a text, nothing where it may be published; of a secret one the place only."""
    try:
        items.validate(item, text, is_secret=is_secret)
    except Invalid as error:
        return [dict(entry) for entry in error.errors]
    return []


class ModuleValidate(ItemView):
    """`…/validate/`."""

    scopes = {"POST": CONFIG_READ}
    sandbox_safe = {"POST": SandboxSafe.READS}
    only_looks = True

    @extend_schema(
        summary="Check a value",
        description="422 names each wrong field. Answers the value as it would be published.",
        request=module_shapes.ValidateIn,
        responses=inline_serializer(
            "Validated",
            {
                "content": serializers.DictField(),
                "warnings": serializers.ListField(child=serializers.DictField(), help_text="What it names and what does not exist."),
            },
        ),
    )
    def post(self, request: Request, name: str) -> Response:
        text, item = text_of(self.validated(module_shapes.ValidateIn)["content"]) or "null", self.item()
        items.validate(item, text)
        return Response({"content": plain(items.canonical(item, text)), "warnings": doubts_of(item, text)})


class ModulePublish(ItemView):
    """`…/publish/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Publish",
        description="The draft, or `content`. Every process runs it within a second; see `instances`.",
        request=module_shapes.PublishIn,
        responses={201: PUBLISHED},
    )
    def post(self, request: Request, name: str) -> Response:
        values = self.validated(module_shapes.PublishIn)
        content = text_of(values.pop("content"))
        item = self.item()
        release = releases.publish(item=item, content=content, **values, by=self.by)
        return self.released(release, status=201, warnings=doubts_of(item, release.content))


class ModuleRollback(ItemView):
    """`…/rollback/`."""

    scopes = {"POST": CONFIG_PUBLISH}

    @extend_schema(
        summary="Go back to an earlier version",
        description="Makes a new release of its text; the draft is thrown away and a gray release ends.",
        request=module_shapes.RollbackIn,
        responses={201: RELEASE},
    )
    def post(self, request: Request, **at: str) -> Response:
        values, item = self.validated(module_shapes.RollbackIn), self.item()
        to = selectors.release(item, values["version"])
        release = releases.rollback(item=item, to=to, comment=values["comment"], by=self.by)
        return self.released(release, status=201)


class ModuleReleases(ListModelMixin, ItemView):
    """`…/releases/`."""

    scopes = {"GET": CONFIG_READ}
    pagination_class = CursorPages

    def get_queryset(self) -> Any:
        return selectors.history(self.item())

    @extend_schema(summary="What was published, the newest first")
    def get(self, request: Request, **at: str) -> Response:
        return self.list(request)


class ModuleRelease(ItemView):
    """`…/releases/{number}/`."""

    scopes = {"GET": CONFIG_READ}

    @extend_schema(summary="One release with its text", responses=module_shapes.ReleaseWithContent)
    def get(self, request: Request, number: int, **at: str) -> Response:
        return Response(module_shapes.ReleaseWithContent(selectors.release(self.item(), number)).data)


MAX_VERSION = 999_999_999


class DiffQuery(Query):
    """Which versions are compared."""

    before = WholeNumber(min_value=0, max_value=MAX_VERSION, required=False, help_text="Version; default: what is in force.")
    after = WholeNumber(min_value=0, max_value=MAX_VERSION, required=False, help_text="Version; default: the draft.")


class ModuleDiff(ItemView):
    """`…/diff/`."""

    scopes = {"GET": CONFIG_READ}
    queries = {"GET": DiffQuery}

    @extend_schema(
        summary="Compare two versions",
        description="Without parameters, the draft with what is in force.",
        parameters=[DiffQuery],
        responses=module_shapes.LineOut(many=True),
    )
    def get(self, request: Request, **at: str) -> Response:
        asked, item = self.asked(), self.item()
        selectors.must_compare(item)
        now = items.effective(item)
        before = self._text(item, asked.get("before"), now)
        after = self._text(item, asked.get("after"), now if item.draft is None else item.draft)
        return Response(module_shapes.LineOut(selectors.diff(before, after), many=True).data)

    def _text(self, item: ConfigItem, number: int | None, otherwise: str) -> str:
        if number is None:
            return otherwise
        text: str = selectors.release(item, number).content
        return text
