"""What the overview looks at: breakers, what is due, recent failures, paused batches, alarms, drafts, webhook endpoints, unreadable rows.

Each check answers with sentences that a reader can act upon, and only about what this reader may see.
"""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.services import rights
from accounts.staff import actors
from configcenter import hot
from configcenter import selectors as configuration
from messaging import selectors
from messaging.providers import breaker_states
from messaging.providers.breaker_labels import holders, reason_text
from messaging.queueing import queue_statistics
from monitor.alarms import reach
from monitor.alarms import selectors as selectors_of_alarms
from monitor.alarms.configuration import alarms as alarm_settings
from monitor.alarms.rules import Severity as AlarmSeverity
from posthaste.lib import redis
from posthaste.lib.breaker import Phase
from posthaste.ui.attention import Notice, Reader, Severity, attention
from posthaste.ui.templatetags.interface import thousands
from tracing.services import losses

FAILURES_OF = timedelta(minutes=15)
SET_ASIDE_OF = timedelta(days=7)
LATE_SECONDS = 60.0
VERY_LATE_SECONDS = 600.0
MANY_FAILURES = 100
LOSSES_OF = timedelta(hours=1)
MAX_EACH = 3  # notices of one check
MAX_ALARMS = 10


@attention("alarms", title=gettext_lazy("alarms"), order=10)
def alarms(reader: Reader) -> Iterator[Notice]:
    """Tell of the alarms that fire."""
    if not rights.may_view(reader.user):
        return
    firing = selectors_of_alarms.firing(limit=MAX_ALARMS)
    names = actors.names_of({alarm.acknowledged_by for alarm in firing} - {""}, tenant_ids=None)
    for alarm in firing:
        is_loud = alarm.severity == AlarmSeverity.CRITICAL and not alarm.acknowledged_by
        yield Notice(
            Severity.CRITICAL if is_loud else Severity.WARNING,
            _("Alarm: {title}.").format(title=alarm.title),
            reverse("alarm", args=[alarm.id]),
            action=_("Open the alarm"),
            since=alarm.since,
            detail=_("Acknowledged by {who}.").format(who=actors.in_words(alarm.acknowledged_by, names)) if alarm.acknowledged_by else "",
        )


@attention("alarm_receivers", title=gettext_lazy("receivers of alarms"), order=15)
def alarm_receivers(reader: Reader) -> Iterator[Notice]:
    """Tell of settings with which the notices of alarms reach no one."""
    if not rights.may_view(reader.user):
        return
    for text, detail in reach.problems(alarm_settings.value)[:MAX_EACH]:
        yield Notice(Severity.WARNING, text, reverse("config:module-edit", args=["alarms"]), action=_("Alarms"), detail=detail)


@attention("breakers", title=gettext_lazy("breakers"), order=20)
def breakers(reader: Reader) -> Iterator[Notice]:
    """Tell of the breakers that keep messages from being sent."""
    if not reader.may("messaging.view_provider"):
        return
    rows = breaker_states.of_installation()
    stopped = [row for row in rows if row["state"] != Phase.CLOSED and row["tenant_id"] in {*reader.tenant_ids, None}]
    told = [row for row in stopped if row["tenant_id"] is not None or reader.is_everything][:MAX_EACH]
    names = holders(told, tenant_ids=None if reader.is_everything else reader.tenant_ids)
    for row in told:
        is_open = row["state"] == Phase.OPEN
        text = (
            _("{name} is not used because its breaker is open.") if is_open else _("{name} is being tried again: its breaker is half-open.")
        )
        yield Notice(
            Severity.CRITICAL if is_open else Severity.WARNING,
            text.format(name=row["title"]),
            reverse("config-breaker", args=[row["name"]])
            if rights.may_view(reader.user)
            else reverse("admin:messaging_provider_changelist"),
            action=_("Show the breaker"),
            since=row["since"],
            detail=reason_text(row, names),
        )


@attention("backlog", title=gettext_lazy("what is due"), order=30)
def backlog(reader: Reader) -> Iterator[Notice]:
    """Tell that messages have been due for long. The figure is of the whole installation."""
    if not reader.is_everything:
        return
    listing = reverse("admin:messaging_message_changelist") + "?state=open"
    url = reverse("monitor-queues") if rights.may_view(reader.user) else listing
    waiting = queue_statistics.measured()  # raises while Redis is away: then it was not checked
    if waiting is None:
        oldest = queue_statistics.oldest_due(reader.now)
        if oldest is not None and (reader.now - oldest).total_seconds() >= LATE_SECONDS:
            text = _("Messages are due, and no process hands them to the workers.")
            yield Notice(Severity.CRITICAL, text, url, action=_("Queues and pools"), since=oldest, detail=_("Start the process worker."))
        return
    waited = queue_statistics.waited_seconds(waiting, reader.now)
    if waited < LATE_SECONDS:
        return
    yield Notice(
        Severity.CRITICAL if waited >= VERY_LATE_SECONDS else Severity.WARNING,
        _("Messages are late."),
        url,
        action=_("Queues and pools"),
        count=waiting.total,
        since=reader.now - timedelta(seconds=waited),
        detail=_("The oldest has waited since then."),
    )


@attention("failures", title=gettext_lazy("recent failures"), order=40)
def failures(reader: Reader) -> Iterator[Notice]:
    """Tell the error codes of the last minutes."""
    if not reader.may("messaging.view_message"):
        return
    listing = reverse("admin:messaging_message_changelist")
    found = selectors.recent_failures(reader.tenant_ids, since=reader.now - FAILURES_OF)
    # Unreadable rows have a check of their own.
    for code, number, began in [failure for failure in found if failure[0] != selectors.SET_ASIDE][:MAX_EACH]:
        if code:
            text = ngettext(
                "{n} message ended with the error {code} in the last 15 minutes.",
                "{n} messages ended with the error {code} in the last 15 minutes.",
                number,
            )
        else:
            text = ngettext(
                "{n} message failed without an error code in the last 15 minutes.",
                "{n} messages failed without an error code in the last 15 minutes.",
                number,
            )
        yield Notice(
            Severity.CRITICAL if number >= MANY_FAILURES else Severity.WARNING,
            text.format(n=thousands(number), code=code),
            f"{listing}?{urlencode({'state': 'dead', 'error': code} if code else {'state': 'dead'})}",
            action=_("Show them"),
            since=began,
        )


@attention("paused", title=gettext_lazy("paused batches"), order=50)
def paused_batches(reader: Reader) -> Iterator[Notice]:
    """Tell of batches that stand still because they were paused."""
    if not reader.may("messaging.view_batch"):
        return
    number, since, first = selectors.paused_batches(reader.tenant_ids)
    if not number:
        return
    one = reverse("admin:messaging_batch_change", args=[first])
    text = ngettext("{n} batch is paused.", "{n} batches are paused.", number).format(n=thousands(number))
    url = one if number == 1 else reverse("admin:messaging_batch_changelist") + "?status__exact=paused"
    yield Notice(Severity.NOTE, text, url, action=_("Resume or cancel"), since=since, detail=_("Nothing of it is sent."))


@attention("endpoints", title=gettext_lazy("webhook endpoints"), order=60)
def webhook_endpoints(reader: Reader) -> Iterator[Notice]:
    """Tell of webhook endpoints that were disabled automatically."""
    if not reader.may("messaging.view_webhookendpoint"):
        return
    for endpoint in selectors.failed_endpoints(None, limit=50):
        if endpoint.tenant_id not in reader.tenant_ids:
            continue
        yield Notice(
            Severity.WARNING,
            _("The webhook endpoint {name} was disabled.").format(name=endpoint),
            reverse("admin:messaging_webhookendpoint_change", args=[endpoint.pk]),
            action=_("Open the endpoint"),
            since=endpoint.disabled_at,
            detail=endpoint.disabled_detail,
        )


@attention("drafts", title=gettext_lazy("drafts of the configuration"), order=70)
def invalid_drafts(reader: Reader) -> Iterator[Notice]:
    """Tell of drafts that could not be published as they are."""
    if not rights.may_edit(reader.user):
        return
    for item, wrong in configuration.invalid_drafts()[:MAX_EACH]:
        url = reverse("config:module-edit", args=[item.data_id])
        if item.override_of is not None:
            url += f"?{urlencode({'tenant': item.override_of.slug})}"
        title = _(hot.module(item.data_id).title)
        name = title if item.override_of is None else f"{title} · {item.override_of}"
        text = _("The draft of {name} is invalid and can't be published.").format(name=name)
        yield Notice(Severity.NOTE, text, url, action=_("Mend the draft"), since=item.draft_at, detail=wrong)


@attention("set_aside", title=gettext_lazy("unreadable rows"), order=80)
def set_aside(reader: Reader) -> Iterator[Notice]:
    """Tell of messages that were set aside because their row could not be read."""
    if not reader.may("messaging.view_message"):
        return
    found = selectors.set_aside(reader.tenant_ids, since=reader.now - SET_ASIDE_OF)
    if found:
        listing = f"{reverse('admin:messaging_message_changelist')}?{urlencode({'state': 'dead', 'error': selectors.SET_ASIDE})}"
        text = _("Messages were set aside because they can't be read.")
        yield Notice(Severity.WARNING, text, listing, action=_("Show them"), count=len(found), since=min(found))


@attention("trace_losses", title=gettext_lazy("traces"), order=90)
def trace_losses(reader: Reader) -> Iterator[Notice]:
    """Tell that traces are not complete. The figures are of the whole installation."""
    if not reader.is_everything:
        return
    try:
        found = losses.so_far()
    except redis.Unavailable:
        return  # said by others
    texts = {
        losses.LINES: _("Events are missing in the traces of messages."),
        losses.TRACES: _("Traces were not sent to the OTLP receiver."),
    }
    for kind, loss in found.items():
        if loss.last_at is not None and loss.last_at >= reader.now - LOSSES_OF:
            detail = _("Counted since Redis keeps them; the last one: {at} UTC.").format(at=f"{loss.last_at:%H:%M:%S}")
            url = reverse("config:module-edit", args=["tracing"]) if rights.may_view(reader.user) else reverse("admin:index")
            yield Notice(Severity.WARNING, texts[kind], url, action=_("Tracing"), count=loss.number, detail=detail)
