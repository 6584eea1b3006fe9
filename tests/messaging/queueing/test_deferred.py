"""What a rule has put off, looked at again when the rules have changed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.models import Message, Status
from messaging.queueing import deferred
from tests.builders import make_message, make_tenant
from tracing import selectors as traces
from tracing.services import record

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]


def test_the_trace_tells_that_a_message_was_brought_forward() -> None:
    tenant, now = make_tenant(), timezone.now()
    later = now + timedelta(hours=8)
    put_off = make_message(tenant, due_at=later, error_code="rule:quiet:night")
    scheduled = make_message(tenant, due_at=later)
    assert deferred.pull_forward(now=now) == 1
    assert [row.due_at for row in Message.objects.filter(status=Status.PENDING).order_by("pk")] == [now, later]
    told = [[(event.code, event.words) for event in found] for found in traces.events_of([put_off.pk, scheduled.pk])]
    assert told == [[("F", (record.RULES_CHANGED,))], []]
