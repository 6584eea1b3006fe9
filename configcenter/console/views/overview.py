"""All modules at a glance, and all instances."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.services import rights
from configcenter import hot, selectors
from configcenter.console import live
from configcenter.console.access import names_in, page, staff_page
from configcenter.console.views.own import own_overview
from configcenter.labels import InstanceState
from configcenter.models import MODULES, ConfigItem, ConfigState


@staff_page(allowed=rights.may_open)
def overview(request: HttpRequest) -> HttpResponse:
    """Show every module: its release, when and by which user, its draft, and how many instances run it. Owners see their tenants'."""
    if not rights.may_view(request.user):
        return own_overview(request)
    rows = ConfigItem.objects.select_related("current", "gray").filter(group=MODULES, namespace__slug=MODULES, namespace__tenant=None)
    items: dict[str, ConfigItem] = {}
    overrides: dict[str, int] = {}
    for item in rows:
        if item.override_of_id is None:
            items[item.data_id] = item
        elif item.current_id:
            overrides[item.data_id] = overrides.get(item.data_id, 0) + 1
    wanted = request.GET.get("q", "").strip().lower()
    running = selectors.live_instances()
    cards: list[dict[str, Any]] = []
    for handle in hot.modules():
        item = items.get(handle.name) or ConfigItem(group=MODULES, data_id=handle.name)
        title, purpose = _(handle.title), _(handle.purpose)
        fields = " ".join(_(info.title) for info in handle.model.model_fields.values() if info.title)
        if wanted and wanted not in f"{handle.name} {title} {purpose} {fields}".lower():
            continue
        cards.append(
            {
                "name": handle.name,
                "title": title,
                "purpose": purpose,
                "item": item,
                "overrides": overrides.get(handle.name, 0),
                "instances": live.of_item(item, running),
            }
        )
    return page(
        request,
        "overview",
        title=_("Configuration"),
        purpose=_("The values that each part runs with. Changes reach every process within a second, without a restart."),
        tab="modules",
        cards=cards,
        names=names_in(card["item"] for card in cards),
        query=request.GET.get("q", ""),
        away=running is None,
    )


@staff_page(allowed=rights.may_view)
def instances(request: HttpRequest) -> HttpResponse:
    """Show every process and the versions it runs."""
    running = selectors.live_instances()
    revision = ConfigState.objects.filter(pk=ConfigState.ONLY).values_list("revision", flat=True).first() or 0
    rows = []
    for instance in running or []:
        errors = [{"module": key.partition("@")[0], "text": text} for key, text in sorted(instance.errors.items())]
        is_behind = instance.revision < revision
        state = InstanceState.BEHIND if is_behind else InstanceState.APPLIED
        if errors or instance.source != "database":
            state = InstanceState.REFUSED if errors else InstanceState.SNAPSHOT
        rows.append(
            {
                "instance": instance,
                "errors": errors,
                "behind": is_behind,
                "state": state,
            }
        )
    return page(
        request,
        "instances",
        title=_("Instances"),
        purpose=_("Every running process, where its configuration came from, and which version it runs."),
        tab="instances",
        rows=rows,
        revision=revision,
        now=timezone.now(),
        away=running is None,
    )
