"""Something of everything in the configuration, and the addresses of its pages."""

from datetime import timedelta
from typing import Any

import orjson
from django.urls import reverse
from django.utils import timezone

from configcenter import hot
from configcenter.models import ConfigItem
from configcenter.services import drafts, instances, items, releases
from configcenter.services.instances import Identity, State, Version
from tests.browser.scene import Scene
from tests.builders import actor

BY: dict[str, Any] = {"by": actor("user:ada")}


def _text(item: ConfigItem, **fields: object) -> str:
    return orjson.dumps(orjson.loads(items.effective(item)) | fields).decode()


def report_instances(everybody: int = 0) -> None:
    """Report five processes, one behind and one with an error; or `everybody` with that version of the queues."""
    started = timezone.now() - timedelta(hours=3)
    for host, kind, number, errors in (
        ("web-1", "web", 2, {}),
        ("web-2", "web", 2, {}),
        ("worker-1", "send", 2, {}),
        ("worker-2", "send", 1, {}),
        ("worker-3", "send", 1, {"queues": "version 2: max_backlog: Must be at least 1000."}),
    ):
        number, errors = (everybody, {}) if everybody else (number, errors)
        state = State("database", 4, {"queues": Version(number, "0" * 32, 40 + 10 * number)}, errors)
        instances.report(who=Identity(host, kind, (f"zone={host[-1]}",)), state=state, started_at=started)


def config_pages(scene: Scene) -> dict[str, str]:
    """Publish, draft and report something, and give the addresses of all pages by name."""
    tenant, now = scene.tenant, timezone.now()
    queues = items.module_item("queues")
    releases.publish(item=queues, content=_text(queues, queue_capacity=20_000), comment="More room in November", **BY)
    releases.publish(item=queues, content=_text(queues, hold_seconds=0.8), comment="Fewer idle workers", **BY)
    drafts.save_draft(item=queues, content=_text(queues, max_backlog=3_000_000), based_on=queues.draft_version, now=now, **BY)
    retries = items.module_item("retry_policy")
    releases.publish(item=retries, content=_text(retries, max_retries=5), comment="A patient gateway", **BY)
    releases.start_gray(item=retries, content=_text(retries, base_seconds=8), labels=["zone=1"], percent=20, comment="Slower", **BY)
    override = items.module_item("retry_policy", tenant=tenant)
    releases.publish(item=override, content='{"max_retries": 7}', comment="As agreed", **BY)
    namespace = items.default_namespace(None)
    item = items.create_item(
        namespace=namespace, group="SHOP", data_id="shop.yaml", format="yaml", description="Shop prices", by=actor("user:ada")
    )
    releases.publish(item=item, content="shop:\n  name: Acme\n  currency: EUR\n", comment="First", **BY)
    drafts.save_draft(
        item=item, content="shop:\n  name: Acme\n  currency: CNY\n  rounding: 2\n", based_on=item.draft_version, now=now, **BY
    )
    encrypted = items.create_item(
        namespace=namespace, group="SHOP", data_id="secrets.yaml", format="yaml", is_encrypted=True, by=actor("user:ada")
    )
    releases.publish(item=encrypted, content="password: example\n", comment="First", **BY)
    report_instances()
    tenant_query = f"?tenant={tenant.slug}"
    found = {
        "configuration": reverse("config:overview"),
        "configuration nothing found": reverse("config:overview") + "?q=nothing",
        "publish queues": reverse("config:module-publish", args=["queues"]),
        "history of queues": reverse("config:module-history", args=["queues"]),
        "history of alarms": reverse("config:module-history", args=["alarms"]),
        "version of queues": reverse("config:module-release", args=["queues", 1]),
        "comparison of queues": reverse("config:module-compare", args=["queues"]) + "?from=1&to=2",
        "defaults of queues": reverse("config:module-remove", args=["queues"]),
        "gray": reverse("config:module-edit", args=["retry_policy"]),
        "tenants of retry policy": reverse("config:module-tenants", args=["retry_policy"]),
        "tenants of assignment": reverse("config:module-tenants", args=["assignment"]),
        "override": reverse("config:module-edit", args=["retry_policy"]) + tenant_query,
        "new override": reverse("config:module-edit", args=["delivery_rules"]) + tenant_query,
        "replay of flow rules": reverse("config:module-replay", args=["flow_rules"]) + "?run=1&hours=1",
        "replay of delivery rules": reverse("config:module-replay", args=["delivery_rules"]) + "?run=1&hours=1",
        "items": reverse("config:items"),
        "no items": reverse("config:items") + "?q=nothing",
        "new item": reverse("config:item-new"),
        "item": reverse("config:item-edit", args=[item.pk]),
        "publish item": reverse("config:item-publish", args=[item.pk]),
        "history of item": reverse("config:item-history", args=[item.pk]),
        "no listeners of item": reverse("config:item-listeners", args=[item.pk]),
        "encrypted item": reverse("config:item-edit", args=[encrypted.pk]),
        "version of encrypted item": reverse("config:item-release", args=[encrypted.pk, 1]),
        "remove item": reverse("config:item-remove", args=[item.pk]),
        "namespaces": reverse("config:namespaces"),
        "instances": reverse("config:instances"),
        "locks": reverse("config-locks"),
        "breakers": reverse("config-breakers"),
        "limits": reverse("config-limits"),
        "transfer": reverse("config:transfer"),
    }
    return found | {handle.name: reverse("config:module-edit", args=[handle.name]) for handle in hot.modules()}
