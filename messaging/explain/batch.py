"""How a batch gets on: rate, time left, how long its messages spend where, and the reason if it stands still."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from messaging.explain import facts
from messaging.explain.sentences import Duration, Link, Part, Sentence
from messaging.models import Batch, BatchStatus, Message, Status
from messaging.storage import durations
from posthaste.lib import redis
from tracing import selectors as traces
from tracing.labels import Node

RATE_SECONDS = 30
NODES_SECONDS = 3.0  # so long an answer about the nodes serves, of a batch that runs
TRACES = 200  # the latest, of which it is read how long processing and sending took
MAX_REMEMBERED = 200  # batches

_remembered: dict[UUID, tuple[float, list[dict[str, Any]]]] = {}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a batch goes. `left_seconds` None: it is not known, as nothing has left lately."""

    left: int
    per_second: float
    left_seconds: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """What the page and the API of a batch show beside its counts."""

    pace: Pace
    answer: Sentence
    nodes: list[dict[str, Any]]


def report(batch: Batch, counts: dict[str, int], *, now: datetime) -> Report:
    """Return how a batch gets on, in a few queries however large it is."""
    pace = _pace(batch, counts, now)
    return Report(pace, _answer(batch, counts, pace, now), _nodes(batch))


def _pace(batch: Batch, counts: dict[str, int], now: datetime) -> Pace:
    left = counts[Status.PENDING] + counts[Status.QUEUED] + counts[Status.SENDING]
    if not left:
        return Pace(0, 0.0, 0.0)
    since = max(now - timedelta(seconds=RATE_SECONDS), batch.send_at or batch.created_at)
    seconds = max(1.0, (now - since).total_seconds())
    # A receipt moves the end of what was sent before.
    ended = Q(sent_at__gte=since) | Q(sent_at=None, finished_at__gte=since)
    per_second = Message.objects.filter(ended, batch=batch).count() / seconds
    return Pace(left, round(per_second, 2), round(left / per_second, 1) if per_second else None)


def _nodes(batch: Batch) -> list[dict[str, Any]]:
    """Return how long the messages spent where, as of some seconds ago: all who look at a batch share one answer a process."""
    until, found = _remembered.get(batch.pk, (0.0, []))
    if time.monotonic() >= until:
        found = _measured(batch)
        if len(_remembered) >= MAX_REMEMBERED:
            _remembered.clear()
        _remembered[batch.pk] = (time.monotonic() + NODES_SECONDS, found)
    return [dict(node) for node in found]


def _measured(batch: Batch) -> list[dict[str, Any]]:
    known = durations.of_batch(batch.pk)
    latest = Message.objects.filter(batch=batch, sent_at__isnull=False).order_by("-sent_at").values_list("pk", flat=True)[:TRACES]
    for node, values in zip((Node.PROCESS, Node.SEND), _of_traces(list(latest)), strict=True):
        known[node.value] = (len(values), durations.percentiles(values))
    names = [node.value for node in Node] + ["until_sent"]
    return [{"name": name, "messages": known[name][0], **_by_name(known[name][1])} for name in names]


def _by_name(values: Sequence[int | None]) -> dict[str, int | None]:
    return {f"p{percent}_ms": value for percent, value in zip(durations.PERCENTILES, values, strict=True)}


def _of_traces(ids: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Return how long messages were processed and sent, as far as traces tell."""
    process, send = [], []
    try:
        found = traces.events_of(ids)
    except redis.Unavailable:
        return [], []
    for events in found:
        claimed = next((event for event in reversed(events) if event.code == "C"), None)
        sent = next((event for event in reversed(events) if event.code == "S"), None)
        if sent is None or not sent.words or not sent.words[0].isdecimal():
            continue
        took = int(sent.words[0])
        send.append(took)
        if claimed is not None and claimed.at_ms <= sent.at_ms:
            process.append(max(0, sent.at_ms - took - claimed.at_ms))
    return process, send


def _ms(start: datetime, end: datetime) -> int:
    return max(0, round((end - start) / timedelta(milliseconds=1)))


def _answer(batch: Batch, counts: dict[str, int], pace: Pace, now: datetime) -> Sentence:
    parts: dict[str, Part] = {"n": pace.left, "accepted": batch.accepted, "rate": _rate(pace.per_second)}
    dead = counts[Status.FAILED] + counts[Status.UNKNOWN]
    if batch.status == BatchStatus.CANCELLED:
        return Sentence("cancelled", _("Cancelled: {n} messages will not be sent."), {"n": counts[Status.CANCELLED]}, tone="cancelled")
    if not pace.left:
        parts |= {"dead": Link(str(dead), "dead", (batch.pk,)), "taken": Duration(_ms(batch.created_at, batch.finished_at or now))}
        if dead:
            return Sentence(
                "finished_dead", _("Finished in {taken}: {dead} of {accepted} failed or have an unknown outcome."), parts, "failed"
            )
        return Sentence("finished", _("Finished in {taken}: all {accepted} have an outcome."), parts)
    if batch.status == BatchStatus.PAUSED:
        return Sentence("paused", _("Paused: {n} messages wait until it is resumed."), parts, tone="unknown")
    if batch.send_at is not None and batch.send_at > now:
        parts |= {"due": batch.send_at, "wait": Duration(_ms(now, batch.send_at))}
        return Sentence("scheduled", _("Scheduled: {n} messages are sent from {due}, in {wait}."), parts, until=batch.send_at)
    if pace.left_seconds is not None:
        parts["left"] = Duration(int(pace.left_seconds * 1000))
        return Sentence("running", _("{n} left, {rate} leave each second: about {left} to go."), parts)
    return _standing(batch, parts, now)


def _standing(batch: Batch, parts: dict[str, Part], now: datetime) -> Sentence:
    """Return why nothing has left lately."""
    queue = facts.queue()
    if queue.workers == 0:
        parts["no_worker"] = Link(_("no worker runs"), "workers")
        return Sentence("no_worker", _("Stands still because {no_worker} that sends messages: {n} messages wait."), parts, tone="failed")
    waiting = Message.objects.filter(tenant_id=batch.tenant_id, batch=batch, status=Status.PENDING, due_at__isnull=False)
    groups = waiting.order_by().values("error_code").annotate(number=Count("pk")).order_by("-number")
    first = next(iter(groups[:1]), None)
    code = first["error_code"] if first else ""
    example = waiting.filter(error_code=code).order_by("due_at").first() if code else None
    if first is None or example is None or (example.due_at <= now and not code.startswith("breaker:")):
        parts["others"] = queue.statistics.total
        return Sentence("turn", _("Waits for its turn: {others} messages wait in all, {n} of them in this batch."), parts)
    parts |= {"n": first["number"], "code": code, "due": example.due_at, "wait": Duration(_ms(now, max(now, example.due_at)))}
    kind, _colon, name = code.partition(":")
    if kind == "breaker":
        state = facts.breaker_of(example, name)
        parts["provider"] = Link(name, "breaker", (state["name"],)) if state else name
        if state is not None and state["since"] is not None and state["state"] == "open":
            parts["since"] = state["since"]
            said = _("Stands still: {n} messages wait for {provider}, whose breaker has been open since {since}.")
            return Sentence("breaker_open", said, parts, tone="failed")
        return Sentence("breaker", _("Stands still: {n} messages wait for the breaker of {provider}."), parts, tone="unknown")
    if kind == "rule":
        parts["name"] = name.partition(":")[2] or name
        return Sentence(
            "rule", _("Waits: {n} messages are put off by the rule {name}, the first until {due}."), parts, until=example.due_at
        )
    said = _("Stands still: {n} messages failed with {code} and are tried again, the first in {wait}.")
    return Sentence("retry", said, parts, tone="unknown", until=example.due_at)


def _rate(per_second: float) -> str:
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"
