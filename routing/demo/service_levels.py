"""The demo's service levels: a calendar with its holidays, and a conversation that has waited too long."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts.selectors import Tenant
from accounts.services.audit import Actor
from routing.assignment import queueing
from routing.calendars import editing, holiday_data, importing
from routing.contract import Incoming, SenderName
from routing.conversations import lines
from routing.customers import identities
from routing.models import AuthorKind, BusinessCalendar, Clock, Entrance, IdentityKind
from routing.processing.taking_in import new_conversation
from routing.service_levels import conversations

#: What was overlooked: who wrote, and what.
SENDER, NAME_OF_SENDER = "petra.vogel@customers.example", "Petra Vogel"
SUBJECT = "My refund"
TEXT = "Hello, I asked for a refund last week and heard nothing. Is anyone there?"
#: So long ago that its first response is late, whatever day it is.
AGO = timedelta(hours=40)
NAME, PLACE = "office", "DE-BE"
ZONE = "Europe/Berlin"
#: Long hours and Saturdays, so that a demo shows running clocks whenever it is looked at, but for the nights.
HOURS = [{"day": day, "start": "06:00", "end": "22:00"} for day in range(1, 7)]


def load_calendar(*, tenant: Tenant, by: Actor, now: datetime) -> None:
    """Make the demo's default calendar, with the holidays of this year and the next."""
    if BusinessCalendar.objects.filter(tenant=tenant).exists():
        return
    calendar = BusinessCalendar(tenant=tenant, name=NAME, title="Berlin office", time_zone=ZONE, hours=HOURS, is_default=True)
    editing.create_calendar(calendar=calendar, by=by, now=now)
    for year in (now.year, now.year + 1):
        if holiday_data.is_announced(PLACE, year):
            importing.import_days(calendar=calendar, place=PLACE, year=year, by=by)


@transaction.atomic
def load_late(*, entrance: Entrance, now: datetime) -> None:
    """Write a conversation that was overlooked, unless there is a clock: the next sweep tells of its breach."""
    if Clock.objects.filter(tenant=entrance.tenant_id).exists():
        return
    then = now - AGO
    sender = SenderName(IdentityKind.EMAIL, SENDER, name=NAME_OF_SENDER)
    incoming = Incoming(external_id="demo-late", sender=sender, subject=SUBJECT, text=TEXT, sent_at=then)
    identity = identities.resolve(incoming.sender, tenant_id=entrance.tenant_id, now=then)
    conversation = new_conversation(entrance, identity, incoming, now=then)
    conversation.save(force_insert=True)
    lines.append(conversation, author=AuthorKind.CUSTOMER, text=TEXT, client_id=incoming.external_id, now=then)
    queueing.enqueue([conversation.pk], now=then)
    conversations.customers_wrote([conversation.pk], now=then)
