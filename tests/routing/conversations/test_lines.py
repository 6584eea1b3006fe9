"""Lines and the lock that gives them their numbers."""

import threading

import pytest
from django.db import connection, transaction

from accounts.models import Tenant
from routing.conversations import lines
from tests.crowds import at_once
from tests.routing.conversations.builders import make_asked
from tests.routing.tickets.builders import make_ticket, make_type

SECONDS = 30.0


@pytest.mark.django_db(transaction=True)
def test_a_ticket_of_a_conversation_is_opened_while_someone_writes_there(tenant: Tenant) -> None:
    if connection.vendor == "sqlite":
        return  # one transaction writes at a time
    talk, kind = make_asked(tenant), make_type(tenant)
    is_locked, is_opened = threading.Event(), threading.Event()

    def write() -> bool:
        with transaction.atomic():
            lines.lock(talk.pk)
            is_locked.set()
            return is_opened.wait(SECONDS)

    def open_one() -> None:
        assert is_locked.wait(SECONDS)
        make_ticket(tenant, kind, conversation=talk)
        is_opened.set()

    assert at_once(write, open_one)[0], "both would wait for each other where the form of a customer opens a ticket"
