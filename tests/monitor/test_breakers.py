"""The page of the breakers: seen with the right to view the configuration, held with the right to publish it."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, ConfigRight, User
from messaging.providers import breaker_states, breakers
from tests.builders import make_provider, make_tenant

pytestmark = pytest.mark.django_db


def staff(right: str, name: str = "ada") -> Client:
    client = Client()
    client.force_login(User.objects.create(username=name, first_name=name.title(), last_name="Lovelace", is_staff=True, config_right=right))
    return client


def test_a_breaker_is_held_open_by_hand_and_let_go_and_both_stand_in_history_and_audit() -> None:
    provider = make_provider(make_tenant(), name="First gateway")
    name, client = breakers.of_provider(provider.pk), staff(ConfigRight.PUBLISH)
    one = reverse("config-breaker", args=[name])
    assert "First gateway" in client.get(reverse("config-breakers")).content.decode()
    answer = client.post(reverse("config-breakers"), {"name": name, "to": "open", "minutes": "10"})
    assert (answer.status_code, answer["Location"]) == (302, one)
    page = client.get(one).content.decode()
    assert "Held by Ada Lovelace." in page
    assert "Held open" in page
    client.post(reverse("config-breakers"), {"name": name, "to": "automatic", "minutes": ""})
    assert "Hold released" in client.get(one).content.decode()
    entries = AuditEntry.objects.filter(action="breaker.force", target=name).order_by("id")
    assert [(entry.actor, entry.tenant_id, entry.detail["state"], entry.detail.get("seconds", 0)) for entry in entries] == [
        ("user:ada", provider.tenant_id, "open", 600),
        ("user:ada", provider.tenant_id, "automatic", 0),
    ]


def test_whoever_may_only_look_holds_nothing_and_a_name_that_is_none_is_not_held() -> None:
    name = breakers.of_provider(make_provider(make_tenant()).pk)
    looking, publishing = staff(ConfigRight.VIEW), staff(ConfigRight.PUBLISH, "bob")
    assert "Hold open" not in looking.get(reverse("config-breaker", args=[name])).content.decode()
    assert looking.post(reverse("config-breakers"), {"name": name, "to": "open"}).status_code == 403
    assert publishing.post(reverse("config-breakers"), {"name": "nonsense", "to": "open"}).status_code == 404
    assert publishing.post(reverse("config-breakers"), {"name": name, "to": "sideways"}).status_code == 404
    assert staff(ConfigRight.NONE, "eve").get(reverse("config-breakers")).status_code == 403


def test_trials_that_failed_one_after_the_other_are_one_row_of_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    name = breakers.of_provider(make_provider(make_tenant(), name="First gateway").pk)
    told = {"by": "", "reason_number": 0, "reason_of": 0, "reason_code": "", "configuration_version": 0}
    reasons = [*["trial"] * 6, "calls"]
    events = [
        told | {"at": datetime(2026, 1, 1, 12, 0, 59 - place, tzinfo=UTC), "event": ("opened", "half_open")[place % 2], "reason": reason}
        for place, reason in enumerate(reasons)
    ]
    monkeypatch.setattr(breaker_states, "history", lambda name: events)
    page = staff(ConfigRight.VIEW).get(reverse("config-breaker", args=[name])).content.decode()
    rows = page.split("<tbody>")[1].split("</tbody>")[0]
    assert rows.count("<tr>") == 2
    assert "× 3" in rows
    assert "12:00:59" in rows
    assert "12:00:55" in rows
