"""What would the draft have done? The module's replay over a past span, shown before anything is published."""

from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import ValidationError

from accounts.services import rights
from configcenter.console.access import page, target_page
from configcenter.console.changes import values_of
from configcenter.console.targets import Target, for_target
from configcenter.services import validation, what_if
from posthaste.lib.dates import is_in_range
from posthaste.lib.problems import Invalid
from posthaste.ui.templatetags.interface import milliseconds, moment, thousands

#: What the parts of a report are called.
WORDS = {
    "by_group": gettext_noop("By group"),
    "by_provider": gettext_noop("By provider"),
    "by_rule": gettext_noop("By rule"),
    "channel": gettext_noop("Channel"),
    "conversation": gettext_noop("Conversation"),
    "conversations": gettext_noop("Conversations"),
    "deferred": gettext_noop("Deferred"),
    "elsewhere": gettext_noop("To another group"),
    "examples": gettext_noop("Examples"),
    "exempt": gettext_noop("Exempt"),
    "expected": gettext_noop("With this draft"),
    "group": gettext_noop("Group"),
    "intent": gettext_noop("Intent"),
    "layer": gettext_noop("Layer"),
    "limited_messages": gettext_noop("Messages refused"),
    "limited_requests": gettext_noop("Requests refused"),
    "max_wait_ms": gettext_noop("Longest wait"),
    "max_wait_seconds": gettext_noop("Longest wait"),
    "mean_wait_seconds": gettext_noop("Mean wait"),
    "messages": gettext_noop("Messages"),
    "minute": gettext_noop("Minute"),
    "moved": gettext_noop("Moved to another provider"),
    "provider": gettext_noop("Provider"),
    "recorded": gettext_noop("As recorded"),
    "requests": gettext_noop("Requests"),
    "rule": gettext_noop("Rule"),
    "suppressed": gettext_noop("Suppressed"),
    "tenant": gettext_noop("Tenant"),
    "top_tenants": gettext_noop("Most affected tenants"),
    "unchanged": gettext_noop("As before"),
    "waited_requests": gettext_noop("Requests that waited"),
    "worst_minutes": gettext_noop("Worst minutes"),
}
SPANS = {"1": 1, "6": 6, "24": 24, "168": 168}  # hours
MAX_HOURS = 24 * 31


@target_page(allowed=rights.may_view)
@for_target
def replay(request: HttpRequest, target: Target) -> HttpResponse:
    """Replay the draft (or what is in force) over recorded traffic and show what it would have done."""
    handle, item = target.handle, target.item
    if handle is None or handle.what_if is None:
        raise Http404
    report: dict[str, Any] | None = None
    problem = ""
    since, until = _span(request)
    if "run" in request.GET:
        content = values_of(item.draft if item.draft is not None else target.effective)
        try:
            if target.tenant:
                report = what_if.replay_override(handle, item, content, tenant=target.tenant, since=since, until=until)
            else:
                report = what_if.replay_value(handle, handle.model(**content), since=since, until=until)
        except ValidationError as error:
            problem = " ".join(f"{entry['field']}: {entry['message']}" for entry in validation.explain(error))
        except Invalid as invalid:
            problem = " ".join(str(entry["message"]) for entry in invalid.errors)
    return page(
        request,
        "replay",
        title=_("Replay"),
        purpose=_("Replays the draft against past traffic. Nothing is sent, and nothing changes."),
        tab="modules",
        page="replay",
        target=target,
        item=item,
        parts=_parts(report) if report is not None else None,
        since=since,
        until=until,
        hours=request.GET.get("hours", "24"),
        spans=[("1", _("last hour")), ("6", _("last 6 hours")), ("24", _("last day")), ("168", _("last week"))],
        problem=problem,
    )


def _span(request: HttpRequest) -> tuple[datetime, datetime]:
    """Return the span asked for, as the last hours or as start and end in UTC; at most a month."""
    now = timezone.now()
    given = [_moment(request.GET.get(name, "")) for name in ("since", "until")]
    if given[0] is not None:
        until = min(given[1] or now, now)
        return max(min(given[0], until), until - timedelta(hours=MAX_HOURS)), until
    return now - timedelta(hours=SPANS.get(request.GET.get("hours", ""), 24)), now


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    if found is not None and timezone.is_naive(found):
        found = timezone.make_aware(found)
    return found if found is not None and is_in_range(found) else None


def _parts(report: dict[str, Any]) -> dict[str, Any]:
    """Split a report into what the page shows: single figures, tables, and notes on both."""
    figures, tables = [], []
    for name, value in report.items():
        if isinstance(value, list) and name != "notes":
            rows = [member if isinstance(member, dict) else {"value": member} for member in value]
            heads = list(dict.fromkeys(key for row in rows for key in row))
            cells = [[_shown(key, row.get(key)) for key in heads] for row in rows]
            tables.append({"name": _word(name), "heads": [_word(key) for key in heads], "rows": cells})
        elif isinstance(value, int | float) and not isinstance(value, bool):
            figures.append({"name": _word(name), "value": _shown(name, value)})
    return {"figures": figures, "tables": [table for table in tables if table["rows"]], "notes": report.get("notes") or []}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, int | float) and name.endswith(("_ms", "_seconds")):
        return milliseconds(round(value if name.endswith("_ms") else value * 1000))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return thousands(value)
    return moment(value) if isinstance(value, datetime) else "–" if value in (None, "") else value


def _word(name: str) -> str:
    return _(WORDS[name]) if name in WORDS else name.replace("_", " ").capitalize()
