"""Rows are claimed in the order in which their messages were accepted."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from messaging.models import Message
from messaging.storage import store
from posthaste.lib.ids import new_id
from tests.builders import make_message, make_tenant

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def test_a_claim_returns_messages_in_the_order_they_were_accepted_wherever_their_rows_lie() -> None:
    tenant = make_tenant()
    ids = [make_message(tenant, status="queued").pk for _ in range(20)]
    moved = random.Random(7).sample(ids, len(ids))
    for id_ in moved:  # PostgreSQL writes a changed row anew, at the end
        Message.objects.filter(pk=id_).update(body="changed")
    claimed = store.claim(moved, claim_id=new_id(), now=timezone.now(), lease=timedelta(seconds=30))
    assert [row.id for row in claimed] == ids
