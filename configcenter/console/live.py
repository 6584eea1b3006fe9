"""Which instance runs which version, as pages and their refreshing parts show it."""

from collections import Counter
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from configcenter.labels import InstanceState
from configcenter.models import ConfigItem
from configcenter.selectors import takes_part
from configcenter.services.instances import Instance, errors_of, key_of


def reached(item: ConfigItem, live: list[Instance], *, labels: list[str], percent: int) -> list[Instance]:
    """Return which instances a gray release with these labels and this percentage is for."""
    return [instance for instance in live if takes_part(instance, item, labels=labels, percent=percent)]


def of_item(item: ConfigItem, live: list[Instance] | None) -> dict[str, Any]:
    """Return how many instances run the current version of a module or override: a sentence, and a row for each instance.

    For an override, `live` must have been read with it (`selectors.live_instances`).
    """
    key, is_override = key_of(item.data_id, item.override_of_id), item.override_of_id is not None
    current = item.current.number if item.current else 0
    try_first = reached(item, live or [], labels=item.gray_labels, percent=item.gray_percent) if item.gray else []
    rows, lags = [], []
    for instance in live or []:
        version = (instance.overrides if is_override else instance.versions).get(key)
        number, lag_ms = (version.number, version.lag_ms) if version else (0, None)
        wanted = item.gray.number if item.gray and instance in try_first else current
        error = instance.errors.get(key, "") if is_override else errors_of(instance, key)
        state = InstanceState.REFUSED if error else InstanceState.APPLIED if number == wanted else InstanceState.BEHIND
        if state == InstanceState.APPLIED and lag_ms is not None:
            lags.append(lag_ms)
        rows.append(
            {
                "id": instance.id,
                "kind": instance.kind,
                "place": f"{instance.host}:{instance.pid}",
                "labels": instance.labels,
                "version": f"v{number}" if number else _("inherited") if is_override else _("defaults"),
                "is_gray": bool(item.gray and number == item.gray.number),
                "state": state.value,
                "word": str(state.label),
                "lag_ms": lag_ms,
                "error": error,
            }
        )
    states = Counter(row["state"] for row in rows)
    return {
        "as_of": timezone.now().isoformat(),
        "away": live is None,
        "total": len(rows),
        "applied": states[InstanceState.APPLIED],
        "slowest_ms": max(lags, default=None),
        "text": _sentence(live, states[InstanceState.APPLIED], len(rows), max(lags, default=None)),
        "rows": rows,
    }


def _sentence(live: list[Instance] | None, applied: int, total: int, slowest: int | None) -> str:
    if live is None:
        return _("Redis is unavailable: the state of the instances is unknown")
    if not total:
        return _("No instance is running")
    if slowest is None:
        text = _("{applied} of {total} instances") if total > 1 else _("{applied} of one instance")
    else:
        text = _("{applied} of {total} instances, {ms} ms") if total > 1 else _("{applied} of one instance, {ms} ms")
    return text.format(applied=applied, total=total, ms=round(slowest or 0))
