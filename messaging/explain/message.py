"""Where a message is and why, in one sentence: what it waits for while it lives, and how it ended.

Each function makes the sentence of one state; each kind of reason has one code, by which programs know it.
"""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.explain import ending, facts
from messaging.explain.sentences import Duration, Link, Part, Sentence, about
from messaging.explain.versions import decided_by
from messaging.models import IN_PROGRESS, BatchStatus, Message, Status
from tracing.traces import Trace

RECOVERED_WITHIN = timedelta(seconds=5)  # after a lease has run out, recovery has come by now


def explain(message: Message, trace: Trace, *, now: datetime) -> Sentence:
    """Return the sentence for a message as it stands now; it may ask Redis and the database for what it waits for."""
    if message.status not in IN_PROGRESS:
        return ending.explain(message, trace)
    if message.status == Status.SENDING:
        return _sending(message, now)
    if message.batch is not None and message.batch.status in (BatchStatus.PAUSED, BatchStatus.CANCELLED):
        return _stopped_batch(message)
    if message.status == Status.QUEUED:
        return _queued(message, now)
    if message.due_at > now:
        return _until_due(message, trace, now)
    return _due(message, now)


def _sending(message: Message, now: datetime) -> Sentence:
    since = message.claimed_at or now
    if message.lease_until is not None and message.lease_until + RECOVERED_WITHIN < now:
        return Sentence(
            "worker_lost",
            _("The worker that was sending it has not reported since {since}. It is recovered within seconds while a worker runs."),
            {"since": since},
            tone="unknown",
        )
    return Sentence(
        "sending",
        _("A worker has been sending it for {taken}: attempt {n}."),
        {"taken": _span(since, now), "n": max(1, message.attempts)},
    )


def _stopped_batch(message: Message) -> Sentence:
    assert message.batch is not None
    batch = Link(str(message.batch)[:80], "batch", (message.batch.pk,))
    if message.batch.status == BatchStatus.PAUSED:
        return Sentence(
            "batch_paused",
            _("Waits because its batch {batch} is paused. It goes on when the batch is resumed."),
            {"batch": batch},
            "unknown",
        )
    return Sentence("batch_cancelled", _("Will not be sent: its batch {batch} was cancelled."), {"batch": batch}, tone="cancelled")


def _queued(message: Message, now: datetime) -> Sentence:
    queue = facts.queue()
    since = message.queued_at or now
    if queue.workers == 0:
        return _no_worker(since)
    return Sentence(
        "queued",
        _("In the queue for {taken}, and taken by the next free thread; {n} messages are in the queue."),
        {"taken": _span(since, now), "n": max(1, queue.statistics.in_broker)},
    )


def _no_worker(since: datetime) -> Sentence:
    return Sentence(
        "no_worker",
        _("Waits since {since} because {no_worker} that sends messages. It goes on as soon as one is started."),
        {"since": since, "no_worker": Link(_("no worker runs"), "workers")},
        tone="failed",
    )


def _due(message: Message, now: datetime) -> Sentence:
    queue = facts.queue()
    if queue.workers == 0:
        return _no_worker(message.due_at)
    waiting, rate = queue.statistics.due, queue.statistics.per_second
    if rate:
        return Sentence(
            "backlog",
            _("Due since {due}, and waits for its turn: {n} messages are due and {rate} leave each second."),
            {"due": message.due_at, "n": max(1, waiting), "rate": max(1, round(rate))},
        )
    return Sentence(
        "due",
        _("Due since {due}, and handed to the queue at the next look; {n} messages are due."),
        {"due": message.due_at, "n": max(1, waiting)},
    )


def _until_due(message: Message, trace: Trace, now: datetime) -> Sentence:
    code = message.error_code
    parts: dict[str, Part] = {"due": message.due_at, "wait": _span(now, message.due_at)}
    if code.startswith("breaker:"):
        return _breaker(message, trace, now)
    if code.startswith("rule:"):
        return _rule(message, trace, parts)
    if not code and not message.attempts and not _was_deferred(trace):
        return Sentence("scheduled", _("Scheduled: it is sent at {due}, in {wait}."), parts, until=message.due_at)
    if cap := _cap(trace):
        provider = facts.provider_named(message, cap)
        shown = Link(cap, "provider", (provider.pk,)) if provider else cap
        return Sentence(
            "cap",
            _("Waits because {provider} is at its limit; tried again in {wait}."),
            {**parts, "provider": shown},
            until=message.due_at,
        )
    if code == "no_provider":
        return Sentence(
            "no_provider",
            _("Waits because no provider is enabled for {channel}: {add}. Tried again in {wait}; attempt {n} came to nothing."),
            {**parts, "channel": message.get_channel_display(), "add": Link(_("add one"), "providers"), "n": message.attempts},
            tone="failed",
            until=message.due_at,
        )
    if message.attempts:
        return _retry(message, parts)
    return Sentence("given_back", _("Given back by its worker without a call; tried again in {wait}."), parts, until=message.due_at)


def _retry(message: Message, parts: dict[str, Part]) -> Sentence:
    provider = Link(message.provider.name, "provider", (message.provider.pk,)) if message.provider else ""
    parts = {**parts, "n": message.attempts, "code": message.error_code or "?"}
    if not provider:
        return Sentence(
            "retry", _("Waits for another attempt, in {wait}: attempt {n} failed with {code}."), parts, "unknown", until=message.due_at
        )
    return Sentence(
        "retry_provider",
        _("Waits for another attempt, in {wait}: {provider} answered attempt {n} with {code}."),
        {**parts, "provider": provider},
        "unknown",
        until=message.due_at,
    )


def _breaker(message: Message, trace: Trace, now: datetime) -> Sentence:
    whose = message.error_code.partition(":")[2]
    state = facts.breaker_of(message, whose)
    name = state["name"] if state else ""
    parts: dict[str, Part] = {
        "provider": Link(whose, "breaker", (name,)) if name else whose,
        "wait": _span(now, message.due_at),
        "others": _others(facts.others_waiting(message)),
        "release": decided_by(trace, "breaker:", "circuit_breakers"),
    }
    since = state["since"] if state and state["state"] == "open" else None
    more = {"until": message.due_at, "tone": "failed"}
    if state is not None and state["forced"] == "open":
        return Sentence(
            "breaker_held",
            _("Waits for {provider}, whose breaker {who} holds open since {since}; {others}."),
            {**parts, "who": state["forced_by"].rpartition(":")[2] or "?", "since": state["since"] or now},
            **more,  # type: ignore[arg-type]
        )
    if since is not None:
        retry_at = state["retry_at"] if state else None
        soon = _span(now, retry_at) if retry_at is not None and retry_at < message.due_at else parts["wait"]
        return Sentence(
            "breaker_open",
            _("Waits for {provider}, whose breaker has been open since {since} ({release}); tried again in {wait}; {others}."),
            {**parts, "since": since, "wait": soon},
            **more,  # type: ignore[arg-type]
        )
    if state is not None and state["state"] == "half_open":
        return Sentence(
            "breaker_half_open",
            _("Waits for {provider}, whose breaker lets trial calls through; {others}. All go on when they succeed."),
            parts,
            until=message.due_at,
        )
    if state is not None:
        return Sentence(
            "breaker_closed", _("Waited for {provider}, whose breaker has closed; sent within seconds."), parts, until=message.due_at
        )
    return Sentence(
        "breaker",
        _("Waits for {provider}, whose breaker was open ({release}); tried again in {wait}; {others}."),
        parts,
        **more,  # type: ignore[arg-type]
    )


def _others(count: int) -> str:
    if not count:
        return _("no other message waits for it")
    number = about(count, limit=facts.LOOKED_AT - 2)
    return ngettext("{n} other waits too", "{n} others wait too", count).format(n=number)


def _rule(message: Message, trace: Trace, parts: dict[str, Part]) -> Sentence:
    kind, _colon, name = message.error_code.removeprefix("rule:").partition(":")
    parts = {**parts, "name": name or kind, "release": decided_by(trace, "rule:", "delivery_rules", message.tenant_id)}
    words = {
        "quiet": _("Waits until {due} because of the quiet hours {name} ({release})."),
        "window": _("Waits until {due}, when the send window {name} opens ({release})."),
        "frequency": _("Waits until {due} because the recipient has had as many messages as the frequency cap {name} allows ({release})."),
        "unchecked": _("Waits {wait} because Redis does not answer: duplicates and frequency caps can't be checked ({release})."),
    }
    said = words.get(kind) or _("Waits until {due} because of the rule {name} ({release}).")
    return Sentence(f"rule_{kind}", said, parts, tone="failed" if kind == "unchecked" else "", until=message.due_at)


def _was_deferred(trace: Trace) -> bool:
    return any(event.code in "BXRV" for event in trace.recorded)


def _cap(trace: Trace) -> str:
    """Return the provider whose cap put the message off last, if that was the last thing that happened."""
    last = next((event for event in reversed(trace.recorded) if event.code in "XBCRESV"), None)
    if last is None or last.code != "X" or len(last.words) < 2:
        return ""
    return last.words[1].removeprefix("cap:") if last.words[1].startswith("cap:") else ""


def _span(start: datetime, end: datetime) -> Duration:
    return Duration(max(0, int((end - start).total_seconds() * 1000)))
