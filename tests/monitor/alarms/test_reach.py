"""Settings of alarms with which notices reach no one are said to be on the overview."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.selectors import Tenant
from monitor import attention
from posthaste.ui.attention import Reader
from tests.monitor.alarms.rules import receiver
from tests.peers.smtp import MailServer

pytestmark = pytest.mark.django_db
Put = Callable[..., None]


def said() -> list[str]:
    user = User.objects.create(username=f"user {User.objects.count()}", is_superuser=True, is_staff=True)
    return [notice.text for notice in attention.alarm_receivers(Reader(user=user, tenant_ids=[], is_everything=True, now=timezone.now()))]


def test_a_receiver_without_a_provider_is_named_and_one_that_is_reached_is_not(load: object, watched: Put, operator: Tenant) -> None:
    watched(receivers=[receiver("mail"), receiver("text", kind="sms", address="+8613812345678")])
    assert said() == ["Notices of alarms can't reach the receiver text."]


def test_a_sender_that_is_no_tenant_is_named(load: object, watched: Put, operator: Tenant, mails: MailServer) -> None:
    watched(sent_by="nope")
    assert said() == ["Notices of alarms are to be sent by the tenant nope, which does not exist or is inactive."]
    watched(sent_by="")
    assert said() == []
