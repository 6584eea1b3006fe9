"""Provider routing over the messages that were sent: the share each provider would have had, beside the one it had."""

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Avg, Count, QuerySet
from django.utils.translation import gettext as _

from configcenter.hot import Applied
from messaging.configuration import provider_routing
from messaging.configuration.providers import ChannelRoute, ProviderRouting, Strategy
from messaging.models import Message, Provider
from messaging.storage import unreadable
from messaging.storage.leave_out import Reading
from posthaste.lib.ids import first_id_at, made_at

MAX_MESSAGES = 1_000_000
Carried = dict[tuple[int, str], dict[UUID, tuple[int, float]]]  # by tenant and channel: number and mean latency of each provider
UNKNOWN_LATENCY_MS = 1_000.0  # of a provider that carried nothing in the span


def replay_routing(draft: Applied[ProviderRouting], *, since: datetime, until: datetime, tenant_id: int | None = None) -> dict[str, Any]:
    """Return how many messages of a span would probably have gone through another provider, by their tenant's routing."""
    span = Message.objects.filter(id__gte=first_id_at(since), id__lt=first_id_at(until), is_sandbox=False).order_by("id")
    if tenant_id is not None:
        span = span.filter(tenant_id=tenant_id)
    # Bounded by the position of the millionth message, which the primary key gives.
    last = span.values_list("id", flat=True)[MAX_MESSAGES : MAX_MESSAGES + 1].first()
    carried = span.exclude(provider=None).filter(id__lt=last) if last else span.exclude(provider=None)
    recorded, left_out = _carried(carried)
    providers = Provider.objects.filter(tenant_id__in={owner for owner, _channel in recorded}).only(
        "tenant_id", "name", "channel", "weight", "is_enabled", "is_stand_in"
    )
    by_place: dict[tuple[int, str], list[Provider]] = defaultdict(list)
    for provider in providers:
        by_place[provider.tenant_id, provider.channel].append(provider)
    lines = [line for place, had in sorted(recorded.items()) for line in _place(draft.of(place[0]), place, had, by_place[place])]
    notes = [
        _("Moves by breakers and fail-over are not included. They depend on how providers behave."),
        _("The replay uses today's providers: their weights, and which are enabled."),
    ]
    if any(uses_latency(routing) for routing in draft.values(tenant_id)):
        notes.append(_("Provider latency was not recorded. The time from due to accepted is used instead."))
    if left_out:
        notes.append(_("Rows that can't be read are not included: {n}.").format(n=left_out))
    if last is not None:
        notes.append(_("Too much traffic for one replay. It ends at {time}.").format(time=made_at(last).isoformat()))
    return {
        "since": since,
        "until": made_at(last) if last else until,
        "is_whole": last is None,
        "messages": sum(line["recorded"] for line in lines),
        "moved": round(sum(max(0.0, line["expected"] - line["recorded"]) for line in lines)),
        "by_provider": lines,
        "notes": notes,
    }


def _carried(rows: "QuerySet[Message]") -> tuple[Carried, int]:
    """Return what each provider carried, and the number of rows that could not be read."""
    found: Carried = defaultdict(dict)
    try:
        groups = rows.order_by().values_list("tenant_id", "channel", "provider_id").annotate(n=Count("pk"), ms=Avg("latency_ms"))
        for owner, channel, provider_id, number, latency in groups:
            found[owner, channel][provider_id] = (number, latency or UNKNOWN_LATENCY_MS)
    except Exception as error:
        if not unreadable.may_be_a_rows_fault(error):
            raise
    else:
        return found, 0
    # The database can't group them: row by row, without those that can't be read.
    latencies: dict[tuple[int, str, UUID], list[int | None]] = defaultdict(list)
    readable = Reading(rows, ("tenant_id", "channel", "provider_id", "latency_ms"))
    for *place, latency in readable:
        latencies[tuple(place)].append(latency)
    found.clear()
    for (owner, channel, provider_id), numbers in latencies.items():
        known = [number for number in numbers if number is not None]
        found[owner, channel][provider_id] = (len(numbers), sum(known) / len(known) if known else UNKNOWN_LATENCY_MS)
    return found, readable.left_out


def uses_latency(routing: ProviderRouting) -> bool:
    """Return whether a routing looks at how fast providers are."""
    return Strategy.FASTEST in (routing.strategy, *(route.strategy for route in routing.channels))


def shares(routing: ProviderRouting, providers: list[Provider], latencies: dict[UUID, float]) -> dict[UUID, float]:
    """Return the share of each of a channel's providers, all together 1."""
    usable = [p for p in providers if p.is_enabled]
    usable = [p for p in usable if not p.is_stand_in] or usable
    if not usable:
        return {}
    route = next((route for route in routing.channels if route.channel == usable[0].channel), None)
    strategy = route.strategy if route else routing.strategy
    weights = {p.pk: float(_weight(p, route)) for p in usable}
    if not any(weights.values()):
        return {usable[0].pk: 1.0}
    if strategy == Strategy.IN_ORDER:
        return {max(weights, key=lambda pk: weights[pk]): 1.0}
    if strategy == Strategy.FASTEST:
        weights = {pk: weight / max(1.0, latencies.get(pk, UNKNOWN_LATENCY_MS)) for pk, weight in weights.items()}
    total = sum(weights.values())
    return {pk: weight / total for pk, weight in weights.items()}


def _weight(provider: Provider, route: ChannelRoute | None) -> int:
    own = next((entry.weight for entry in route.weights if entry.provider == provider.name), None) if route else None
    return provider.weight if own is None else own


def _place(
    routing: ProviderRouting, place: tuple[int, str], had: dict[UUID, tuple[int, float]], providers: list[Provider]
) -> list[dict[str, Any]]:
    """One tenant's channel: a line for each provider that had messages or would have had some."""
    total = sum(number for number, _latency in had.values())
    share = shares(routing, providers, {pk: latency for pk, (_number, latency) in had.items()})
    names = {p.pk: p.name for p in providers}
    if not share:  # all are disabled now: no other provider would have carried it
        share = {pk: number / total for pk, (number, _latency) in had.items()}
    return [
        {
            "channel": place[1],
            "provider": names.get(pk, str(pk)),
            "recorded": had.get(pk, (0, 0.0))[0],
            "expected": round(total * share.get(pk, 0.0), 1),
        }
        for pk in sorted({*had, *share}, key=lambda pk: names.get(pk, str(pk)))
        if pk in had or share.get(pk)
    ]


provider_routing.what_if = replay_routing
