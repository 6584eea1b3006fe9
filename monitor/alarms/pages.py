"""The pages of the alarms: what is wrong now, one alarm, silences and maintenance, and who is notified."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.services import rights
from accounts.services.audit import Actor
from monitor.alarms import operate, plot, selectors
from monitor.alarms.addresses import masked
from monitor.alarms.configuration import alarms
from monitor.alarms.rules import Severity, title_of
from monitor.alarms.states import ACTIVE, AlarmState
from monitor.labels import SilenceState
from monitor.models import Alarm, Silence
from posthaste.lib.problems import Invalid, Problem
from posthaste.ui.pages import at, page, problem_text, staff_page

PER_PAGE = 50
MAX_NOTICES = 30
READ_WRITE = ("GET", "HEAD", "POST")
#: How long a page offers to silence one alarm, in minutes.
DURATIONS = (
    (30, gettext_lazy("30 minutes")),
    (120, gettext_lazy("2 hours")),
    (480, gettext_lazy("8 hours")),
    (1_440, gettext_lazy("1 day")),
)


@at("alarms/", name="alarms")
@staff_page(allowed=rights.may_view, refusal=rights.REFUSAL)
def all_alarms(request: HttpRequest) -> HttpResponse:
    """List the alarms, those that fire first."""
    now = timezone.now()
    states = [state for state in request.GET.getlist("state") if state in AlarmState.values]
    severity = request.GET.get("severity", "")
    rows = selectors.by_urgency(selectors.all_alarms())
    if states:
        rows = rows.filter(state__in=states)
    if severity in Severity.values:
        rows = rows.filter(severity=severity)
    if rule := request.GET.get("rule", "")[:40]:
        rows = rows.filter(rule=rule)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    counts = selectors.count_by_state()
    query = request.GET.copy()
    query.pop("page", None)
    return page(
        request,
        "monitor/alarms.html",
        title=_("Alarms"),
        purpose=_("What needs attention now, and what did before."),
        rows=[_row(alarm) for alarm in shown],
        shown=shown,
        query=query.urlencode(),
        counts=counts,
        active=sum(counts.get(state, 0) for state in (AlarmState.FIRING, AlarmState.NO_DATA, AlarmState.ACKNOWLEDGED)),
        states=[(state.value, state.label, state.value in states) for state in AlarmState],
        severities=[(one.value, one.label, one.value == severity) for one in Severity],
        rule=rule,
        is_filtered=bool(states or severity or rule),
        silences=[_silence(silence, now) for silence in selectors.silences(now=now)[:5]],
        has_receivers=any(receiver.is_enabled for receiver in alarms.value.receivers),
        may_change=rights.may_edit(request.user),
        now=now,
    )


def _row(alarm: Alarm) -> dict[str, Any]:
    return {"alarm": alarm, "title": title_of(alarm.metric) if alarm.metric else alarm.rule}


@at("alarms/<uuid:pk>/", name="alarm")
@staff_page(allowed=rights.may_view, to_change=rights.may_edit, methods=READ_WRITE, refusal=rights.REFUSAL)
def one_alarm(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one alarm with its metric and its notices, and act on it."""
    alarm = selectors.all_alarms().filter(pk=pk).first()
    if alarm is None:
        raise Http404
    now = timezone.now()
    if request.method == "POST":
        return _act(request, alarm, now)
    rule, history, releases = selectors.rule_of(alarm), selectors.history_of(alarm, now=now), selectors.releases_before(alarm)
    drawn = plot.draw(
        history.samples,
        selectors.span_of(alarm, now=now),
        rule,
        fired_at=alarm.fired_at,
        resolved_at=alarm.resolved_at,
        releases=[(one["at"], f"{_(one['title'])} v{one['number']}") for one in releases],
    )
    return page(
        request,
        "monitor/alarm.html",
        title=f"{alarm.rule} · {alarm.series}" if alarm.series else alarm.rule,
        purpose=title_of(alarm.metric) if alarm.metric else "",
        alarm=alarm,
        rule=rule,
        plot=drawn if history.samples else None,
        is_known=history.is_known,
        releases=[one | {"title": _(one["title"])} for one in releases],
        notices=selectors.notices_of(alarm),
        is_active=alarm.phase in ACTIVE,
        durations=DURATIONS,
        may_change=rights.may_edit(request.user),
        now=now,
    )


def _act(request: HttpRequest, alarm: Alarm, now: datetime) -> HttpResponse:
    by, comment = Actor.of_request(request), request.POST.get("comment", "")
    try:
        match request.POST.get("action"):
            case "acknowledge":
                operate.acknowledge(alarm=alarm, comment=comment, by=by, now=now)
                messages.success(request, _("Acknowledged. No other receiver is notified."))
            case "reopen":
                operate.reopen(alarm=alarm, by=by)
                messages.success(request, _("The acknowledgement was taken back."))
            case "silence":
                minutes = request.POST.get("minutes", "")
                if minutes not in {str(number) for number, _label in DURATIONS}:
                    raise Http404
                until = now + timedelta(minutes=int(minutes))
                operate.create_silence(
                    rules=[alarm.rule], series=alarm.series, starts_at=now, ends_at=until, comment=comment, by=by, now=now
                )
                messages.success(request, _("Silenced. What is still active then is told at the end."))
            case _:
                raise Http404
    except Problem as problem:
        messages.error(request, problem_text(problem))
    return HttpResponseRedirect(reverse("alarm", args=[alarm.pk]))


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
    rules = [rule.name for rule in alarms.value.rules]
    return page(
        request,
        "monitor/silences.html",
        status=422 if errors else 200,
        title=_("Silences and maintenance"),
        purpose=_("Times in which alarms are evaluated and shown, but not sent."),
        current=[_silence(silence, now) for silence in selectors.silences(now=now)],
        past=[_silence(silence, now) for silence in selectors.silences(now=now, past=True)[:20]],
        rules=rules,
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
    starts_at = _time(post.get("starts_at", ""), "starts_at") or now
    ends_at = _time(post.get("ends_at", ""), "ends_at")
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


def _time(text: str, field: str) -> datetime | None:
    """Read what an input of the type datetime-local gives, in UTC; None for an empty one.

    Raises:
        Invalid: it is no time.
    """
    if not text.strip():
        return None
    try:
        value = parse_datetime(text.strip())
    except ValueError:
        value = None
    if value is None:
        raise Invalid.field(field, _("Must be a date and time."))
    return value if timezone.is_aware(value) else value.replace(tzinfo=UTC)


def _silence(silence: Silence, now: datetime) -> dict[str, Any]:
    is_over = silence.ended_at is not None or silence.ends_at <= now
    state = SilenceState.OVER if is_over else SilenceState.ACTIVE if silence.starts_at <= now else SilenceState.COMING
    return {"row": silence, "state": state, "is_over": is_over}


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
