"""Short names in the admin's forms: made of the title, whatever its script, and never twice."""

from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from accounts.models import Tenant, User
from routing.models import BusinessCalendar, Intent, QuickReply, SkillGroup, TicketType

pytestmark = pytest.mark.django_db
MORE: dict[type[Model], dict[str, Any]] = {
    SkillGroup: {},
    BusinessCalendar: {"time_zone": "Asia/Shanghai"},
    TicketType: {"kind": "request", "priority": "normal"},
    QuickReply: {"text": "Hello"},
    Intent: {},
}
NAMES: dict[type[Model], str] = {QuickReply: "shortcut"}


@pytest.mark.parametrize(
    ("model", "usual"),
    [(SkillGroup, "group"), (BusinessCalendar, "calendar"), (TicketType, "type"), (QuickReply, "reply"), (Intent, "intent")],
)
def test_an_empty_short_name_is_made_of_the_title(model: type[Model], usual: str, tenant: Tenant, client: Client) -> None:
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    address, name = reverse(f"admin:routing_{model._meta.model_name}_add"), NAMES.get(model, "name")
    for title in ("Refunds & returns", "退款", "Refunds returns", "投诉", "退 2"):
        answer = client.post(address, {"tenant": tenant.pk, "title": title, name: "", **MORE[model]})
        assert answer.status_code == 302, answer.context["adminform"].form.errors
    found = model._default_manager.order_by("pk").values_list(name, flat=True)
    assert list(found) == ["refunds-returns", f"{usual}-1", "refunds-returns-2", f"{usual}-2", "2"]
