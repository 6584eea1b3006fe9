"""The pages beside the alarms: silences and maintenance windows, and who is notified."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from accounts.services import rights
from accounts.services.audit import Actor
from accounts.staff import actors
from monitor.alarms import operate, selectors, titles
from monitor.alarms.addresses import masked
from monitor.alarms.configuration import alarms
from monitor.labels import SilenceState
from monitor.models import Silence
from posthaste.lib.problems import Invalid, Problem
from posthaste.lib.zones import zone
from posthaste.ui.pages import at, page, problem_text, staff_page

MAX_NOTICES = 30
MAX_PAST = 20
READ_WRITE = ("GET", "HEAD", "POST")


@at("alarms/silences/", name="alarm-silences")
@staff_page(allowed=rights.may_view, to_change=rights.may_edit, methods=READ_WRITE, refusal=rights.REFUSAL)
def silences(request: HttpRequest) -> HttpResponse:
    """List silences and maintenance windows, make one, and end one."""
    now, errors = timezone.now(), {}
    if request.method == "POST":
        try:
            _change_silences(request, now)
        except Invalid as problem:
            errors = {str(error.get("field")): str(error["message"]) for error in problem.errors}
        except Problem as problem:
            messages.error(request, problem_text(problem))
            return HttpResponseRedirect(reverse("alarm-silences"))
        else:
            return HttpResponseRedirect(reverse("alarm-silences"))
    return page(
        request,
        "monitor/silences.html",
        status=422 if errors else 200,
        title=_("Silences and maintenance"),
        purpose=_("Times in which alarms are evaluated and shown, but not sent."),
        current=_rows(selectors.silences(now=now), now),
        past=_rows(selectors.silences(now=now, past=True)[:MAX_PAST], now),
        rules=sorted(((rule.name, titles.of_rule(rule.name)) for rule in alarms.value.rules), key=lambda one: one[1].casefold()),
        chosen=request.POST.getlist("rules"),
        given=request.POST,
        errors=errors,
        may_change=rights.may_edit(request.user),
        now=now,
    )


def _change_silences(request: HttpRequest, now: datetime) -> None:
    by, post = Actor.of_request(request), request.POST
    if post.get("end"):
        try:
            silence = Silence.objects.filter(pk=UUID(post["end"])).first()
        except ValueError:
            silence = None
        if silence is None:
            raise Http404
        operate.end_silence(silence=silence, by=by, now=now)
        messages.success(request, _("Ended. What is still active is told now."))
        return
    reader = zone(post.get("zone", ""))
    starts_at = time_of(post.get("starts_at", ""), "starts_at", reader) or now
    ends_at = time_of(post.get("ends_at", ""), "ends_at", reader)
    if ends_at is None:
        raise Invalid.field("ends_at", _("Set the end."))
    minutes = post.get("announce_minutes", "").strip() or "0"
    if not minutes.isdecimal() or len(minutes) > 6:
        raise Invalid.field("announce_minutes", _("Must be a number."))
    operate.create_silence(
        rules=post.getlist("rules"),
        starts_at=starts_at,
        ends_at=ends_at,
        comment=post.get("comment", ""),
        is_maintenance=bool(post.get("is_maintenance")),
        announce_minutes=int(minutes),
        by=by,
        now=now,
    )
    messages.success(request, _("Planned."))


def time_of(text: str, field: str, reader: ZoneInfo | None) -> datetime | None:
    """Read what an input of the type datetime-local gives, in the reader's zone, which the page tells; UTC without it. None: empty.

    A time that the clocks skip is the one after the change, and one that comes twice the first.

    Raises:
        Invalid: it is no time.
    """
    if not text.strip():
        return None
    try:
        value = parse_datetime(text.strip())
        if value is None:
            raise ValueError
        return value.replace(tzinfo=value.tzinfo or reader or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid.field(field, _("Must be a date and time.")) from None


def _rows(silences: Iterable[Silence], now: datetime) -> list[dict[str, Any]]:
    found = list(silences)
    names = actors.names_of({silence.ended_by or silence.created_by for silence in found}, tenant_ids=None)
    rows = []
    for silence in found:
        is_over = silence.ended_at is not None or silence.ends_at <= now
        state = SilenceState.OVER if is_over else SilenceState.ACTIVE if silence.starts_at <= now else SilenceState.COMING
        names_of_rules = [titles.of_rule(name) for name in silence.rules]
        rows.append(
            {"row": silence, "names": names_of_rules, "state": state, "by": actors.shown(silence.ended_by or silence.created_by, names)}
        )
    return rows


@at("alarms/receivers/", name="alarm-receivers")
@staff_page(allowed=rights.may_view, to_change=rights.may_edit, methods=READ_WRITE, refusal=rights.REFUSAL)
def receivers(request: HttpRequest) -> HttpResponse:
    """Show who is notified and what they were sent, and send a test."""
    now = timezone.now()
    if request.method == "POST":
        try:
            operate.send_test(receiver=request.POST.get("receiver", ""), by=Actor.of_request(request), now=now)
            messages.success(request, _("A test notice is on its way. See below what becomes of it."))
        except Problem as problem:
            messages.error(request, problem_text(problem))
        return HttpResponseRedirect(reverse("alarm-receivers"))
    return page(
        request,
        "monitor/alarm_receivers.html",
        title=_("Receivers of alarms"),
        purpose=_("Who is notified, and what they were sent."),
        receivers=[{"receiver": one, "address": masked(one)} for one in alarms.value.receivers],
        notices=selectors.recent_notices(limit=MAX_NOTICES),
        may_change=rights.may_edit(request.user),
        now=now,
    )
