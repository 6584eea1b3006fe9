"""What would the draft have done? The module's replay over a past span, shown before anything is published."""

from datetime import datetime, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from pydantic import ValidationError

from configcenter.console.access import page, staff_page
from configcenter.console.changes import values_of
from configcenter.console.subjects import Subject, for_subject
from configcenter.services import validation
from posthaste.lib.problems import Invalid

SPANS = {"1": 1, "6": 6, "24": 24, "168": 168}  # hours
MOST_HOURS = 24 * 31


@staff_page()
@for_subject
def replay(request: HttpRequest, subject: Subject) -> HttpResponse:
    """This function will replay the draft (or what is in force) over recorded traffic and show what it would have done."""
    handle, item = subject.handle, subject.item
    if handle is None or handle.what_if is None:
        raise Http404
    report: dict[str, Any] | None = None
    problem = ""
    since, until = _span(request)
    if "run" in request.GET:
        content = values_of(item.draft if item.draft is not None else subject.effective)
        try:
            value = validation.merged(handle, validation.base_of(handle, item), content) if subject.tenant else handle.model(**content)
            report = handle.what_if(value, since=since, until=until, tenant_id=subject.tenant.pk if subject.tenant else None)
        except ValidationError as error:
            problem = " ".join(f"{entry['field']}: {entry['message']}" for entry in validation.explain(error))
        except Invalid as invalid:
            problem = " ".join(str(entry["message"]) for entry in invalid.errors)
    return page(
        request,
        "replay",
        title=_("What would it have done?"),
        purpose=_("The draft, replayed over the traffic of a past span. Nothing is sent and nothing changes."),
        tab="modules",
        page="replay",
        subject=subject,
        item=item,
        parts=_parts(report) if report is not None else None,
        since=since,
        until=until,
        hours=request.GET.get("hours", "24"),
        spans=[("1", _("last hour")), ("6", _("last 6 hours")), ("24", _("last day")), ("168", _("last week"))],
        problem=problem,
    )


def _span(request: HttpRequest) -> tuple[datetime, datetime]:
    """The last so many hours, or from a moment to a moment in UTC; at most a month."""
    now = timezone.now()
    given = [_moment(request.GET.get(name, "")) for name in ("since", "until")]
    if given[0] is not None:
        until = min(given[1] or now, now)
        return max(min(given[0], until), until - timedelta(hours=MOST_HOURS)), until
    return now - timedelta(hours=SPANS.get(request.GET.get("hours", ""), 24)), now


def _moment(text: str) -> datetime | None:
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return timezone.make_aware(found) if found is not None and timezone.is_naive(found) else found


def _parts(report: dict[str, Any]) -> list[dict[str, Any]]:
    """A report as the page shows it: single figures first, then each table."""
    single = [{"name": _word(name), "value": value} for name, value in report.items() if not isinstance(value, list | dict)]
    parts: list[dict[str, Any]] = [{"kind": "figures", "rows": single}] if single else []
    for name, value in report.items():
        if isinstance(value, dict) and value:
            if all(isinstance(member, dict) for member in value.values()):
                value = [{"name": key, **member} for key, member in value.items()]
            else:
                value = [{"name": _word(str(key)), "value": member} for key, member in value.items()]
        if isinstance(value, list) and value:
            rows = [member if isinstance(member, dict) else {"value": member} for member in value]
            heads = list(dict.fromkeys(key for row in rows for key in row))
            cells = [[row.get(key, "") for key in heads] for row in rows]
            parts.append({"kind": "table", "name": _word(name), "heads": [_word(key) for key in heads], "rows": cells})
    return parts


def _word(name: str) -> str:
    word = name.replace("_", " ")
    return _(word[:1].upper() + word[1:])
