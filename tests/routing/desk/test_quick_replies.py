"""Quick replies: checked where they are stored, in the admin and over the API."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Tenant
from accounts.roles import Role
from routing.models import QuickReply
from tests.builders import Api, json_of
from tests.routing.assignment.builders import make_group
from tests.routing.desk.builders import make_staff

pytestmark = pytest.mark.django_db


def test_a_quick_reply_is_kept_over_the_api(tenant: Tenant, api: Api) -> None:
    make_group(tenant, "orders", at=timezone.now())
    values = {"shortcut": "hello", "title": "Hello", "text": "Hello {{ customer.name }}", "group": "orders"}
    made = json_of(api.post("/api/quick-replies/", values))
    assert (made["group"], made["language"], made["uses"]) == ("orders", "", 0)
    path = f"/api/quick-replies/{made['id']}/"
    assert json_of(api.patch(path, {"text": "Hi", "group": None}))["group"] is None
    assert [row["text"] for row in json_of(api.get("/api/quick-replies/"))["results"]] == ["Hi"]
    assert json_of(api.get("/api/quick-replies/", group="orders"))["results"] == []
    assert api.delete(path).status_code == 204
    assert list(AuditEntry.objects.filter(action__startswith="quick_reply").order_by("pk").values_list("action", flat=True)) == [
        "quick_reply.create",
        "quick_reply.change",
        "quick_reply.delete",
    ]


def test_an_unknown_part_is_answered_with_those_that_there_are(api: Api) -> None:
    said = json_of(api.post("/api/quick-replies/", {"shortcut": "a", "title": "A", "text": "{{ agent.mail }}"}))["errors"][0]["message"]
    assert "agent.mail" in said
    assert "agent.name" in said


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"text": "{{ customer.name"}, "text"),
        ({"text": "{{ secret }}"}, "text"),
        ({"text": "{{ customer.phone }}"}, "text"),
        ({"shortcut": "taken"}, "shortcut"),
        ({"shortcut": "two words"}, "shortcut"),
        ({"group": "none"}, "group"),
        ({"language": "English please"}, "language"),
    ],
)
def test_what_is_wrong_is_named(tenant: Tenant, api: Api, changes: dict[str, str], field: str) -> None:
    now = timezone.now()
    QuickReply.objects.create(tenant=tenant, shortcut="taken", title="x", text="x", created_at=now, changed_at=now)
    answer = api.post("/api/quick-replies/", {"shortcut": "hello", "title": "Hello", "text": "Hello", **changes})
    assert (answer.status_code, json_of(answer)["errors"][0]["field"]) == (422, field)


def test_authors_write_them_in_the_admin(tenant: Tenant) -> None:
    client = Client()
    client.force_login(make_staff(tenant, Role.AUTHOR))
    form = {"tenant": tenant.pk, "shortcut": "bye", "title": "Bye", "text": "Bye {{ customer.name }}", "language": "en", "group": ""}
    assert client.post(reverse("admin:routing_quickreply_add"), form).status_code == 302
    row = QuickReply.objects.get()
    page = client.post(reverse("admin:routing_quickreply_change", args=[row.pk]), {**form, "text": "{{ x }}"})
    assert "There is no x." in page.content.decode()
    assert client.post(reverse("admin:routing_quickreply_change", args=[row.pk]), {**form, "text": "Bye"}).status_code == 302
    assert b"/bye" in client.get(reverse("admin:routing_quickreply_changelist")).content
    assert client.post(reverse("admin:routing_quickreply_delete", args=[row.pk]), {"post": "yes"}).status_code == 302
    assert not QuickReply.objects.exists()
