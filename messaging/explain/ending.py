"""How a message ended, in one sentence."""

from django.utils.translation import gettext as _

from messaging.explain.sentences import Duration, Link, Part, Sentence
from messaging.explain.versions import decided_by
from messaging.labels import detail_text
from messaging.models import BatchStatus, Message, Status, SuppressionReason
from messaging.storage.unreadable import CODE as UNREADABLE
from tracing.traces import Trace


def explain(message: Message, trace: Trace) -> Sentence:
    """Return the sentence for a message that has ended."""
    match message.status:
        case Status.DELIVERED:
            return _delivered(message, trace)
        case Status.SENT:
            return _sent(message, trace)
        case Status.UNKNOWN:
            return _unknown(message)
        case Status.FAILED:
            return _failed(message, trace)
        case Status.SUPPRESSED:
            return _suppressed(message, trace)
        case Status.CANCELLED:
            return _cancelled(message, trace)
    return Sentence(
        "expired",
        _("Expired at {expires} before it could be sent."),
        {"expires": message.expires_at or message.finished_at or message.created_at},
        tone="expired",
    )


def _provider(message: Message) -> Link | str:
    provider = message.provider
    return Link(provider.name, "provider", (provider.pk,)) if provider else _("the provider")


def _took(message: Message) -> Duration:
    end = message.finished_at or message.created_at
    return Duration(max(0, int((end - max(message.created_at, min(message.due_at, end))).total_seconds() * 1000)))


def _delivered(message: Message, trace: Trace) -> Sentence:
    parts: dict[str, Part] = {"provider": _provider(message), "taken": _took(message), "n": message.attempts}
    if message.attempts > 1:
        return Sentence("delivered_after_retries", _("Delivered by {provider}, {taken} after it was due, at attempt {n}."), parts)
    return Sentence("delivered", _("Delivered by {provider}, {taken} after it was due."), parts)


def _operator(trace: Trace, verb: str) -> str:
    """Return who did something with the message last; empty if its trace has expired."""
    for event in reversed(trace.recorded):
        if event.code == "O" and len(event.words) > 1 and event.words[0] == verb:
            return event.words[1].partition(":")[2] or event.words[1]
    return ""


def _sent(message: Message, trace: Trace) -> Sentence:
    if not any(event.code == "S" for event in trace.recorded) and (who := _operator(trace, "sent")):
        return Sentence(
            "settled_sent", _("Marked as sent by {who} at {at}."), {"who": who, "at": message.finished_at or message.created_at}
        )
    taken = Duration(message.latency_ms) if message.latency_ms is not None else _took(message)
    parts: dict[str, Part] = {"provider": _provider(message), "taken": taken, "n": message.attempts}
    if message.attempts > 1:
        said = _("Accepted by {provider} {taken} after it was due, at attempt {n}; no receipt has come.")
        return Sentence("sent_after_retries", said, parts)
    return Sentence("sent", _("Accepted by {provider} {taken} after it was due; no receipt has come."), parts)


def _unknown(message: Message) -> Sentence:
    if message.error_code == "worker_lost":
        said = _("It may have been sent: the worker died while {provider} was being called. Check there, then mark it.")
        return Sentence("unknown_worker_lost", said, {"provider": _provider(message)}, tone="unknown")
    said = _("It may have been sent: {provider} was called, and its answer did not arrive ({code}). Check there, then mark it.")
    return Sentence("unknown", said, {"provider": _provider(message), "code": message.error_code or "?"}, tone="unknown")


def _failed(message: Message, trace: Trace) -> Sentence:
    detail = detail_text(message.error_code, message.error_detail)
    parts: dict[str, Part] = {
        "provider": _provider(message),
        "code": message.error_code or "?",
        "n": message.attempts,
        "detail": detail,
        "at": message.finished_at or message.created_at,
    }
    if who := _operator(trace, "failed"):
        return Sentence("settled_failed", _("Marked as failed by {who} at {at}."), {**parts, "who": who}, tone="failed")
    if message.error_code == UNREADABLE:
        return Sentence("failed_unreadable", _("Set aside because its stored row could not be read. {detail}"), parts, tone="failed")
    if message.error_code == "template":
        return Sentence("failed_template", _("Failed because its template could not be rendered: {detail}"), parts, tone="failed")
    if message.error_code == "no_provider":
        parts["providers"] = Link(_("no provider is enabled for it"), "providers")
        said = _("Failed after {n} attempts because {providers}.")
        return Sentence("failed_no_provider", said, parts, tone="failed")
    if message.sent_at is not None:
        said = _("{provider} accepted it, and reported later that it was not delivered: {code}.")
        return Sentence("failed_receipt", said, parts, tone="failed")
    if _used_all_attempts(trace) or message.attempts > 1:
        return Sentence(
            "failed_retries", _("Failed after {n} attempts. The last one, by {provider}, ended with {code}."), parts, tone="failed"
        )
    return Sentence("failed_refused", _("Refused by {provider} for good with {code}; it was not tried again."), parts, tone="failed")


def _used_all_attempts(trace: Trace) -> bool:
    return sum(event.code == "R" for event in trace.recorded) > 0


def _suppressed(message: Message, trace: Trace) -> Sentence:
    kind, _colon, name = message.error_code.removeprefix("rule:").partition(":")
    release = decided_by(trace, "rule:", "delivery_rules", message.tenant_id)
    parts: dict[str, Part] = {"name": name or kind, "release": release}
    match kind:
        case "suppressed":
            parts["name"] = str(SuppressionReason(name).label) if name in SuppressionReason.values else name
            parts["list"] = Link(_("suppression list"), "suppressions", (message.recipient, message.channel))
            return Sentence("suppressed_list", _("Not sent: the recipient is on the {list} ({name})."), parts, tone="suppressed")
        case "duplicate":
            said = _("Not sent: the same text had just been sent to this recipient ({release}).")
            return Sentence("suppressed_duplicate", said, parts, tone="suppressed")
        case "frequency":
            said = _("Not sent: the recipient has had as many messages as the frequency cap {name} allows ({release}).")
            return Sentence("suppressed_frequency", said, parts, tone="suppressed")
        case "quiet" | "window":
            return Sentence(
                "suppressed_hours", _("Not sent: the rule {name} does not allow this hour ({release})."), parts, tone="suppressed"
            )
    return Sentence("suppressed", _("Not sent: the rule {name} did not allow it ({release})."), parts, tone="suppressed")


def _cancelled(message: Message, trace: Trace) -> Sentence:
    at = message.finished_at or message.created_at
    if who := _operator(trace, "cancel"):
        return Sentence("cancelled_by", _("Cancelled by {who} at {at}, before it was sent."), {"who": who, "at": at}, tone="cancelled")
    if message.batch is not None and message.batch.status == BatchStatus.CANCELLED:
        batch = Link(str(message.batch)[:80], "batch", (message.batch.pk,))
        return Sentence("cancelled_batch", _("Cancelled at {at} with its batch {batch}."), {"batch": batch, "at": at}, tone="cancelled")
    return Sentence("cancelled", _("Cancelled at {at}, before it was sent."), {"at": at}, tone="cancelled")
