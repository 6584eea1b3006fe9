"""What the overview tells of assignment."""

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Tenant
from accounts.roles import Role
from routing.configuration import assignment
from routing.configuration.assignment_rules import AssignmentRule
from tests.builders import configure
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import make_staff

pytestmark = pytest.mark.django_db


def test_rules_that_lead_to_a_group_that_is_missing_need_attention(client: Client, tenant: Tenant) -> None:
    make_group(tenant, "orders", at=timezone.now())
    client.force_login(make_staff(tenant, Role.VIEWER))
    said = "skill groups that don&#x27;t exist"
    configure(
        assignment, rules=[AssignmentRule(name="a", skill_group="orders"), AssignmentRule(name="b", skill_group="x", is_enabled=False)]
    )
    assert said not in client.get("/admin/").content.decode()
    configure(assignment, rules=[AssignmentRule(name="a", skill_group="orderz")])
    page = client.get("/admin/").content.decode()
    assert said in page
    assert "orderz" in page
