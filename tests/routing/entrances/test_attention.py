"""What the overview tells of what comes in: nothing that fails is silent."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.roles import Role
from routing.metrics import failed_arrivals
from routing.models import ArrivalState, EntranceKind, KfCursor, Mailbox
from tests.builders import make_tenant
from tests.routing.builders import make_entrance
from tests.routing.conversations.builders import make_arrival
from tests.routing.desk.builders import make_staff

pytestmark = pytest.mark.django_db


def test_what_customers_wrote_and_no_agent_sees_needs_attention(client: Client, tenant: Tenant) -> None:
    client.force_login(make_staff(tenant, Role.VIEWER))
    said, failed = "could not be processed", {"state": ArrivalState.FAILED, "finished_at": timezone.now()}
    make_arrival(make_entrance(tenant))
    make_arrival(make_entrance(make_tenant()), **failed)
    assert said not in client.get("/admin/").content.decode()
    make_arrival(make_entrance(tenant), **failed)
    page = client.get("/admin/").content.decode()
    assert said in page
    assert "state__exact=failed" in page
    assert failed_arrivals()[tenant.slug] == 1.0


def test_an_entrance_through_which_nothing_can_be_fetched_needs_attention(client: Client, tenant: Tenant) -> None:
    client.force_login(make_staff(tenant, Role.VIEWER))
    mail = make_entrance(tenant, EntranceKind.EMAIL, name="Help mail")
    wecom = make_entrance(tenant, EntranceKind.WECOM_KF, name="Shop in WeCom")
    box = Mailbox.objects.create(entrance=mail)
    cursor = KfCursor.objects.create(entrance=wecom, open_kfid="wk1", wanted_at=timezone.now())
    assert "be fetched for the entrance" not in client.get("/admin/").content.decode()
    Mailbox.objects.filter(pk=box.pk).update(error="Authentication failed")
    KfCursor.objects.filter(pk=cursor.pk).update(wanted_at=timezone.now() - timedelta(minutes=6))
    page = client.get("/admin/").content.decode()
    for part in ("entrance Help mail", "Authentication failed", "entrance Shop in WeCom"):
        assert part in page
