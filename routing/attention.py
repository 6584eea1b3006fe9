"""What of the service desk the overview says first."""

from collections.abc import Iterator
from datetime import timedelta

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from posthaste.ui.attention import Notice, Reader, Severity, attention
from routing import references
from routing.assignment import lists
from routing.calendars import missing
from routing.conversations import selectors as conversations
from routing.desk.reports import schedules
from routing.entrances import selectors as entrances
from routing.service_levels import selectors

#: What WeCom has for so long is fetched within seconds, if it can be.
WECOM_LATE = timedelta(minutes=5)


@attention("arrivals", title=gettext_lazy("what customers wrote"), order=55)
def failed_arrivals(reader: Reader) -> Iterator[Notice]:
    """Tell of what customers wrote and no agent sees."""
    if not reader.may("routing.view_arrival"):
        return
    number, since = conversations.failed(reader.tenant_ids)
    if number:
        address = f"{reverse('admin:routing_arrival_changelist')}?state__exact=failed"
        yield Notice(
            Severity.WARNING, _("Messages of customers could not be processed."), address, action=_("Show them"), count=number, since=since
        )


@attention("entrances", title=gettext_lazy("entrances"), order=56)
def unreadable_entrances(reader: Reader) -> Iterator[Notice]:
    """Tell of entrances through which nothing comes in, as a mailbox or WeCom refuses us."""
    if not reader.may("routing.view_entrance"):
        return
    for entrance, error in entrances.unreadable(reader.tenant_ids, wanted_before=reader.now - WECOM_LATE)[:3]:
        address = reverse("admin:routing_entrance_change", args=[entrance.pk])
        text = _("Messages can't be fetched for the entrance {name}.").format(name=entrance.name)
        yield Notice(Severity.WARNING, text, address, action=_("Open the entrance"), detail=error)


@attention("service_levels", title=gettext_lazy("service levels"), order=60)
def breached_clocks(reader: Reader) -> Iterator[Notice]:
    """Tell of conversations and tickets that are late."""
    if not reader.may("routing.view_clock"):
        return
    number, since = selectors.breached(reader.tenant_ids)
    if number:
        address = f"{reverse('admin:routing_clock_changelist')}?state__exact=running"
        yield Notice(Severity.WARNING, _("Service levels are breached."), address, action=_("Show them"), count=number, since=since)


@attention("business_calendars", title=gettext_lazy("business calendars"), order=70)
def calendars_without_holidays(reader: Reader) -> Iterator[Notice]:
    """Tell of calendars that lack holidays."""
    if not reader.may("routing.view_businesscalendar"):
        return
    for each in missing.of_tenants(reader.tenant_ids, now=reader.now)[:3]:
        address = reverse("admin:routing_businesscalendar_change", args=[each.calendar.pk])
        text = _("A calendar lacks holidays: {name}.").format(name=each.calendar.title)
        yield Notice(Severity.NOTE, text, address, action=_("Open the calendar"), detail=each.text)


@attention("skill_groups", title=gettext_lazy("skill groups"), order=75)
def rules_without_group(reader: Reader) -> Iterator[Notice]:
    """Tell of rules that lead to skill groups that there are not, or are for nothing that exists: the fallback group gets it."""
    if not reader.may("routing.view_skillgroup"):
        return
    if unknown := sorted(lists.unknown_groups(reader.tenant_ids)):
        text = _("Rules of assignment name skill groups that don't exist: {names}.").format(names=", ".join(unknown[:5]))
        yield Notice(Severity.WARNING, text, reverse("admin:routing_skillgroup_changelist"), action=_("Open the skill groups"))
    if dead := sorted(references.dead_rules(reader.tenant_ids)):
        text = _("Rules of assignment never apply, as nothing exists that they are for: {names}.").format(names=", ".join(dead[:5]))
        yield Notice(Severity.WARNING, text, reverse("admin:routing_intent_changelist"), action=_("Open the intents"))


@attention("scheduled_reports", title=gettext_lazy("scheduled reports"), order=80)
def reports_switched_off(reader: Reader) -> Iterator[Notice]:
    """Tell of reports that were switched off because they could not be sent."""
    if not reader.may("routing.change_reportschedule"):
        return
    for row in schedules.switched_off(reader.tenant_ids)[:3]:
        address = reverse("desk-report-schedule", args=[row.pk])
        text = _("A scheduled report was switched off after {n} failures.").format(n=row.failures)
        detail = _(row.last_error) if row.last_error else ""
        yield Notice(Severity.WARNING, text, address, action=_("Open the report"), since=row.failing_since, detail=detail)
