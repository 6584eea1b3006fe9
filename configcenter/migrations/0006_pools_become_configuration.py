"""The limits of the pool move from their table into the modules `thread_pools` and `queues`, as published releases."""

import hashlib
from typing import Any

import orjson
from django.db import migrations
from django.utils import timezone

MODULES = "posthaste"
POOL = {
    "min_threads": 10,
    "max_threads": 100,
    "grow_by": 10,
    "shrink_by": 5,
    "grow_above_percent": 80,
    "shrink_below_percent": 20,
    "grow_above_drain_seconds": 10.0,
    "grow_above_age_seconds": 10.0,
    "cooldown_seconds": 2.0,
}
QUEUES = {"queue_capacity": 10_000, "max_backlog": 2_000_000}
#: What the modules do not allow and the table did.
MOST = {"min_threads": 1000, "max_threads": 1000, "grow_by": 1000, "shrink_by": 1000, "queue_capacity": 1_000_000, "max_backlog": 1_000_000_000, "cooldown_seconds": 3600.0}  # fmt: skip
LEAST = {"grow_above_percent": 1}


def _value(row: Any, fields: dict[str, Any]) -> dict[str, Any]:
    values = {name: type(default)(getattr(row, name)) for name, default in fields.items()}
    return {name: max(LEAST.get(name, value), min(value, MOST.get(name, value))) for name, value in values.items()}


def publish_rows(apps: Any, _schema: Any) -> None:
    """What differs from the defaults is published; where nothing does, the defaults hold as they did."""
    row = apps.get_model("configcenter", "ThreadPoolConfig").objects.filter(name="message.send").first()
    if row is None:
        return
    for name, fields, rest in (("thread_pools", POOL, {}), ("queues", QUEUES, {"hold_seconds": 0.6, "orphan_seconds": 60.0})):
        values = _value(row, fields)
        if values != fields:
            _publish(apps, name, values | rest)


def _publish(apps: Any, name: str, values: dict[str, Any]) -> None:
    namespaces, items, releases, states = (
        apps.get_model("configcenter", model).objects for model in ("ConfigNamespace", "ConfigItem", "ConfigRelease", "ConfigState")
    )
    namespace, _made = namespaces.get_or_create(tenant=None, slug=MODULES, defaults={"name": "Posthaste"})
    item, _made = items.get_or_create(namespace=namespace, group=MODULES, data_id=name, override_of=None, defaults={"format": "json"})
    if item.current_id is not None:
        return  # somebody was quicker: what was published counts
    state, _made = states.get_or_create(pk=1)
    state.revision += 1
    state.save()
    content = orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
    newest = releases.filter(item=item).order_by("-number").values_list("number", flat=True).first() or 0
    item.current = releases.create(
        item=item,
        number=newest + 1,
        revision=state.revision,
        action="import",
        content=content,
        md5=hashlib.md5(content.encode(), usedforsecurity=False).hexdigest(),
        comment="From the table thread_pool_configs",
        author="command:migrate",
        at=timezone.now(),
    )
    item.save()


def write_rows(apps: Any, _schema: Any) -> None:
    """Back: the row with what is in force."""
    found = apps.get_model("configcenter", "ConfigItem").objects.filter(
        namespace__slug=MODULES, group=MODULES, data_id__in=["thread_pools", "queues"], override_of=None
    )
    values = POOL | QUEUES
    for content in found.exclude(current=None).values_list("current__content", flat=True):
        values |= {name: value for name, value in orjson.loads(content).items() if name in values}
    apps.get_model("configcenter", "ThreadPoolConfig").objects.update_or_create(name="message.send", defaults=values)


class Migration(migrations.Migration):
    dependencies = [("configcenter", "0005_fence")]
    operations = [
        migrations.RunPython(publish_rows, write_rows, elidable=True),
    ]
