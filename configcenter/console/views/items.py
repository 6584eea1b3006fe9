"""Free-form items of other systems: found, made, and kept in namespaces."""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors import tenants
from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff.export import note_export
from accounts.staff.lists import MAX_EXPORTED
from configcenter import selectors
from configcenter.console.access import names_in, page, staff_page
from configcenter.console.targets import Target, for_target
from configcenter.models import MODULES, PUBLIC, ConfigItem, ConfigNamespace, Format
from configcenter.services import items
from posthaste.lib import redis
from posthaste.lib.problems import Conflict, Invalid, Problem
from posthaste.ui.chips import address, carried, chip
from posthaste.ui.export import as_csv
from posthaste.ui.pages import problem_text
from posthaste.ui.paginator import page_of


def of_people() -> Any:
    """Return the namespaces that free-form items may lie in: all but that of the modules."""
    return ConfigNamespace.objects.exclude(slug=MODULES, tenant=None).select_related("tenant").order_by("tenant__name", "slug")


def with_public(rows: "QuerySet[ConfigNamespace]") -> list[ConfigNamespace]:
    """Return the namespaces, the installation's `public` among them: without a key until something is stored in it."""
    found = list(rows)
    return found if any(map(_is_public, found)) else [ConfigNamespace(slug=PUBLIC, name=PUBLIC), *found]


def _pk(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 18 else None


def _is_public(namespace: ConfigNamespace) -> bool:
    return namespace.tenant_id is None and namespace.slug == PUBLIC


def _key(namespace: ConfigNamespace) -> str:
    """Return what a form says for a namespace; nothing for one that is not stored."""
    return str(namespace.pk or "")


#: As the index of items has it: the items of a namespace stand together.
ORDER = ("namespace_id", "group", "data_id", "pk")


@staff_page(allowed=rights.may_view)
def listing(request: HttpRequest) -> HttpResponse:
    """List free-form items, narrowed by namespace, group and words."""
    namespaces = list(of_people())
    rows = ConfigItem.objects.filter(namespace__in=namespaces).select_related("namespace__tenant", "current", "gray")
    namespace, group, query = (request.GET.get(name, "").strip() for name in ("namespace", "group", "q"))
    if (chosen := _pk(namespace)) is not None:
        rows = rows.filter(namespace_id=chosen)
    groups = list(rows.order_by("group").values_list("group", flat=True).distinct()[:200])
    if group:
        rows = rows.filter(group=group)
    if query:
        rows = rows.filter(Q(data_id__icontains=query) | Q(description__icontains=query))
    if "csv" in request.GET:
        note_export(request, target="config.items", filters=[name for name in ("namespace", "group", "q") if request.GET.get(name)])
        return _as_file(rows)
    found, newer, older = page_of(rows, request, order=ORDER)
    named = [(str(each.pk), f"{each} · {each.tenant}" if each.tenant else str(each)) for each in namespaces]
    return page(
        request,
        "items",
        title=_("Items"),
        purpose=_("Configuration that other systems read through the API or with a Nacos client."),
        tab="items",
        items=[Target(item) for item in found],
        names=names_in(found),
        newer=newer,
        older=older,
        chips=[
            chip(request, "namespace", title=_("Namespace"), choices=named),
            chip(request, "group", title=_("Group"), choices=[(name, name) for name in groups]),
        ],
        carried=carried(request, but="q"),
        query=query,
        search_help=_("Data ID or description"),
        csv_url=address(request, csv="1") if found else "",
        is_narrowed=bool(namespace or group or query),
    )


def _as_file(rows: "QuerySet[ConfigItem]") -> HttpResponse:
    """Return the list as CSV, without the texts: what an item holds is taken out under "Export and import"."""
    heads = [_("Data ID"), _("Group"), _("Namespace"), _("Owner"), _("Format"), _("encrypted"), _("Version"), _("In force since"), _("Who")]
    cells = (
        [
            item.data_id,
            item.group,
            str(item.namespace),
            str(item.namespace.tenant or ""),
            item.get_format_display(),
            _("Yes") if item.is_encrypted else _("No"),
            item.current.number if item.current else None,
            item.current.at if item.current else None,
            item.current.author if item.current else "",
        ]
        for item in rows.order_by(*ORDER)[:MAX_EXPORTED].iterator(chunk_size=500)
    )
    return as_csv(name="items", heads=heads, rows=cells)  # type: ignore[return-value]


@staff_page(allowed=rights.may_edit, methods=("GET", "HEAD", "POST"))
def create(request: HttpRequest) -> HttpResponse:
    """Make an item."""
    namespaces = with_public(of_people())
    typed = {
        "namespace": request.GET.get("namespace") or next(_key(each) for each in namespaces if _is_public(each)),
        "group": "DEFAULT_GROUP",
        "data_id": "",
        "format": Format.YAML.value,
        "description": "",
        "is_encrypted": "",
    }
    errors: dict[str, str] = {}
    if request.method == "POST":
        typed = {name: request.POST.get(name, "").strip() for name in typed}
        stored = get_object_or_404(of_people(), pk=_pk(typed["namespace"]) or 0) if typed["namespace"] else None
        try:
            item = items.create_item(
                namespace=stored or items.default_namespace(None),
                by=Actor.of_request(request),
                is_encrypted=bool(typed["is_encrypted"]),
                **{name: typed[name] for name in ("group", "data_id", "format", "description")},
            )
            return HttpResponseRedirect(reverse("config:item-edit", args=[item.pk]))
        except Invalid as invalid:
            errors = {str(error["field"]): str(error["message"]) for error in invalid.errors}
        except Conflict as conflict:
            errors = {"data_id": str(conflict.detail)}
    return page(
        request,
        "item_new",
        status=422 if errors else 200,
        title=_("New item"),
        purpose=_("A text, addressed by namespace, group and data ID. It stays empty until you publish it."),
        tab="items",
        namespaces=[(_key(each), each) for each in namespaces],
        formats=Format.choices,
        typed=typed,
        errors=errors,
    )


@staff_page(allowed=rights.may_edit, methods=("POST",))
@for_target
def about(request: HttpRequest, target: Target) -> HttpResponse:
    """Change the format and the description of an item."""
    wanted = {name: request.POST.get(name, "").strip() for name in ("format", "description")}
    is_encrypted = True if request.POST.get("is_encrypted") else None
    try:
        items.change_item(item=target.item, **wanted, is_encrypted=is_encrypted, by=Actor.of_request(request))
        messages.success(request, _("Saved."))
    except Invalid as invalid:
        messages.error(request, " ".join(str(error["message"]) for error in invalid.errors))
    return HttpResponseRedirect(target.url())


@staff_page(allowed=rights.may_view)
@for_target
def listeners(request: HttpRequest, target: Target) -> HttpResponse:
    """Show which Nacos clients listen to an item, and which text each has."""
    try:
        found = selectors.listening(target.item)
    except redis.Unavailable:
        found = None
    rows = [(row, datetime.fromtimestamp(row.since, UTC)) for row in found.rows] if found else []
    return page(
        request,
        "listeners",
        title=target.title,
        purpose=_("Nacos clients that wait for changes of this item, and the text that each has."),
        tab="items",
        page="listeners",
        target=target,
        item=target.item,
        now=timezone.now(),
        found=found,
        rows=rows,
        old=sum(not row.is_current for row, _since in rows),
    )


@staff_page(allowed=rights.may_view, to_change=rights.may_edit, methods=("GET", "HEAD", "POST"))
def namespaces(request: HttpRequest) -> HttpResponse:
    """List the namespaces, make new ones and delete those that are empty."""
    typed = {name: request.POST.get(name, "").strip() for name in ("tenant", "slug", "name", "description")}
    errors: dict[str, str] = {}
    if request.method == "POST":
        by = Actor.of_request(request)
        try:
            if "delete" in request.POST:
                namespace = get_object_or_404(of_people(), pk=_pk(request.POST["delete"]) or 0)
                items.delete_namespace(namespace=namespace, by=by)
                messages.success(request, _("The namespace {name} was deleted.").format(name=namespace.slug))
            else:
                tenant = get_object_or_404(tenants(), pk=_pk(typed["tenant"]) or 0) if typed["tenant"] else None
                made = {name: typed[name] for name in ("slug", "name", "description")}
                items.create_namespace(tenant=tenant, **made, by=by)
                messages.success(request, _("The namespace {name} was created.").format(name=typed["slug"]))
            return HttpResponseRedirect(reverse("config:namespaces"))
        except Invalid as invalid:
            errors = {str(error["field"]): str(error["message"]) for error in invalid.errors}
        except Problem as problem:
            errors = {"slug": problem_text(problem)}
            if "delete" in request.POST:
                messages.error(request, problem_text(problem))
                return HttpResponseRedirect(reverse("config:namespaces"))
    rows = of_people().annotate(items_in=Count("items", filter=Q(items__current__isnull=False) | Q(items__draft__isnull=False)))
    return page(
        request,
        "namespaces",
        status=422 if errors else 200,
        title=_("Namespaces"),
        purpose=_("Namespaces keep the items of different systems or environments apart."),
        tab="items",
        rows=with_public(rows),
        public=PUBLIC,
        tenants=tenants(),
        typed=typed,
        errors=errors,
    )
