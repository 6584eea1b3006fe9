"""A message's answer and trace as its page shows them, in the whole page and in the part that is refreshed while the message lives."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from messaging import selectors, traces
from messaging.explain.message import explain
from messaging.explain.sentences import Link, Sentence
from messaging.labels import detail_text, event_label, event_reason
from messaging.models import IN_PROGRESS, Message, Status
from messaging.providers.breaker_labels import event_label as breaker_event_label
from posthaste.ui.templatetags.interface import moment
from tracing.labels import EventKind, Node, SpanKind

LEAST_WIDTH = 0.8  # per cent of the bar: a call of a few milliseconds is seen beside a night of waiting
#: Errors of which the answer says everything.
SAID_BY_ANSWER = ("breaker:", "rule:", "template", "unreadable", "worker_lost", "expired")
SOON_SECONDS, LATER_SECONDS = 2, 15  # between two looks of the page
#: Kinds of events that say nothing new when they come again right after one another.
FOLDED = {EventKind.QUEUED, EventKind.CLAIMED, EventKind.GIVEN_BACK, EventKind.RULE}
CHOICES = {
    "only": gettext_lazy("the only one"),
    "left": gettext_lazy("the last one not tried yet"),
    "weighted": gettext_lazy("chosen by weight"),
    "fastest": gettext_lazy("chosen by weight and latency"),
    "in_order": gettext_lazy("chosen in order of weight"),
    "trial": gettext_lazy("a trial call of its breaker"),
}
VERBS = {
    "cancel": gettext_lazy("cancelled"),
    "retry": gettext_lazy("sent again"),
    "sent": gettext_lazy("marked as sent"),
    "failed": gettext_lazy("marked as failed"),
}
GIVEN_BACK = {
    "turn": gettext_lazy("its task had no time left"),
    "stopping": gettext_lazy("its worker was stopping"),
    "paused": gettext_lazy("its batch was paused"),
    "fault": gettext_lazy("a component was away"),
    "worker_lost": gettext_lazy("its worker died"),
    "task_lost": gettext_lazy("the broker lost its task"),
}


def context(request: HttpRequest, message: Message, *, now: datetime) -> dict[str, Any]:
    """Return what the templates of the answer and the trace need."""
    read = traces.read(message, now=now)
    trace = traces.as_dict(message, read)
    answer = explain(message, read, now=now)
    for node in trace["nodes"]:
        node["label"] = Node(node["name"]).label
    trace["events"] = folded([_shown(message, event) for event in trace["events"]])
    bar_spans = bar(trace["spans"])
    if message.status == Status.UNKNOWN:
        _mark_unanswered(trace["events"], bar_spans)
    is_final = message.status not in IN_PROGRESS
    return {
        "trace": trace,
        "bar": bar_spans,
        "taken_ms": sum(span["duration_ms"] for span in trace["spans"]),
        "answer": answer,
        "answer_html": answer.as_html(link=link_for(request), moment=moment),
        "is_final": is_final,
        "error_detail": "" if message.error_code.startswith(SAID_BY_ANSWER) else detail_text(message.error_code, message.error_detail),
        "refresh": 0 if is_final else LATER_SECONDS if _is_far(answer, now) else SOON_SECONDS,
        "is_away": read.is_away,
        "now": now,
    }


def _mark_unanswered(events: list[dict[str, Any]], spans: list[dict[str, Any]]) -> None:
    """Say of the last call that no answer came: it may have been accepted, so it is neither refused nor failed."""
    for event in [event for event in events if event["event"] == EventKind.PROVIDER_ERROR][-1:]:
        event["label"] = _("No answer from the provider")
    for span in [span for span in spans if span["fill"] == "failed"][-1:]:
        span["fill"] = "unknown"


def _is_far(answer: Sentence, now: datetime) -> bool:
    return answer.until is not None and (answer.until - now).total_seconds() > 4 * LATER_SECONDS


def _shown(message: Message, event: dict[str, Any]) -> dict[str, Any]:
    kind, reason = event["event"], event.get("reason", "")
    event["label"] = event_label(event)
    event["why"] = str(GIVEN_BACK.get(reason, "")) or event_reason(reason)
    if "choice" in event:
        event["chosen"] = CHOICES.get(event["choice"], event["choice"])
    if kind == EventKind.OPERATOR:
        event["did"], event["who"] = VERBS.get(event.get("verb", ""), event.get("verb")), event.get("who", "").partition(":")[2]
    if kind == EventKind.BREAKER:
        event["did"] = breaker_event_label(event["move"])
    if kind == EventKind.WEBHOOK_OUT and "endpoint" in event:
        event["delivery"] = selectors.delivery_by_trace(tenant_id=message.tenant_id, endpoint_name=event["endpoint"], at=event["at"])
    module = "circuit_breakers" if reason.startswith("breaker") else "delivery_rules" if reason.startswith("rule:") else "provider_routing"
    if release := event.get("release") or event.get("choice_release"):
        event["number"] = release
        event["release_of"] = reverse("config:module-release", args=[module, release])
    return event


def folded(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events, those that repeat the one before or the pair before as one line that says how often."""
    found: list[dict[str, Any]] = []
    for event in events:
        same = next((earlier for earlier in reversed(found[-2:]) if _same(earlier, event)), None)
        if same is None:
            found.append(event)
        else:
            same["times"] = same.get("times", 1) + event.get("times", 1)
            same["until"] = event.get("until", event["at"])
    return found


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    words = ("event", "reason", "status", "provider", "attempt", "release")
    return one["event"] in FOLDED and all(one.get(word) == other.get(word) for word in words)


def bar(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lay the spans side by side: each with start and width in per cent, none too narrow to be seen."""
    total = sum(span["duration_ms"] for span in spans)
    if not spans:
        return []
    widths = [max(LEAST_WIDTH, 100 * span["duration_ms"] / total if total else LEAST_WIDTH) for span in spans]
    scale, start, found = 100 / sum(widths), 0.0, []
    for span, width in zip(spans, widths, strict=True):
        kind = SpanKind(span["kind"])
        fill = (
            "failed" if span.get("code") else "waiting" if kind in (SpanKind.SCHEDULED, SpanKind.WAITING, SpanKind.CALLBACK) else kind.value
        )
        found.append({**span, "label": kind.label, "fill": fill, "start": round(start, 2), "width": round(width * scale, 2)})
        start += width * scale
    return found


def link_for(request: HttpRequest) -> Callable[[Link], SafeString | str]:
    """Return how the links of a sentence are written for this reader: those to pages that they may not open are plain text."""
    may_view = rights.may_view(request.user)

    def shown(link: Link) -> SafeString | str:
        address = _address(link, may_view=may_view)
        return format_html('<a href="{}">{}</a>', address, link.text) if address else link.text

    return shown


def _address(link: Link, *, may_view: bool) -> str:
    match link.kind:
        case "provider":
            return reverse("admin:messaging_provider_change", args=link.key)
        case "providers":
            return reverse("admin:messaging_provider_changelist")
        case "batch":
            return reverse("admin:messaging_batch_change", args=link.key)
        case "dead":
            return f"{reverse('admin:messaging_message_changelist')}?{urlencode({'batch': link.key[0], 'state': 'dead'})}"
        case "suppressions":
            return f"{reverse('admin:messaging_suppression_changelist')}?{urlencode({'q': link.key[0]})}"
        case "breaker" if may_view:
            return reverse("config-breaker", args=link.key)
        case "release" if may_view:
            return reverse("config:module-release", args=link.key)
        case "workers" if may_view:
            return reverse("config:instances")
    return ""
