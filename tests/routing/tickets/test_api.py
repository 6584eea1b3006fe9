"""Tickets over the API."""

import threading
from typing import Any

import pytest
from django.db import connection

from accounts.models import AuditEntry, Tenant
from routing.models import Ticket, TicketKind
from routing.scopes import TICKETS_READ, TICKETS_WRITE
from tests.builders import Api, fields_of, json_of, make_api
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_customer
from tests.routing.tickets.builders import NOW, make_ticket, make_type

pytestmark = [pytest.mark.django_db, pytest.mark.both_stacks]


def test_a_ticket_is_opened_read_changed_and_moved(api: Api, tenant: Tenant) -> None:
    group = make_group(tenant, "billing", at=NOW)
    make_type(tenant, "refund", fields=[{"key": "order", "kind": "order", "label": "Order", "required": "open"}])
    customer, agent = make_customer(tenant), make_agent(tenant, group, at=NOW)
    body: dict[str, Any] = {"type": "refund", "subject": "Charged twice", "group": "billing", "customer": str(customer.pk), "tags": ["vip"]}
    assert fields_of(api.post("/api/tickets/", body)) == ["fields.order"]
    made = json_of(api.post("/api/tickets/", {**body, "fields": {"order": "A-1"}}))
    assert (made["number"], made["status"], made["group"], made["tags"]) == (1, "queued", "billing", ["vip"])
    here = f"/api/tickets/{made['id']}/"
    changed = json_of(api.patch(here, {"priority": "urgent", "agent": agent.user.username, "version": made["version"]}))
    assert (changed["priority"], changed["status"], changed["agent"]["name"]) == ("urgent", "assigned", agent.name)
    stale = api.patch(here, {"priority": "low", "version": 0})
    assert (stale.status_code, json_of(stale)["code"]) == (409, "ticket_changed")
    assert json_of(stale)["changes"][-1]["changes"] == {"priority": ["normal", "urgent"]}
    assert json_of(api.post(f"{here}move/", {"action": "begin"}))["status"] == "in_progress"
    refused = api.post(f"{here}move/", {"action": "reopen"})
    assert (refused.status_code, json_of(refused)["code"]) == (409, "move_refused")
    assert json_of(api.get(f"{here}events/"))[-1]["kind"] == "opened"
    assert json_of(api.get(here))["possible"] == ["queued", "assigned", "waiting", "on_hold", "resolved", "merged", "spam"]


def test_a_request_with_a_key_opens_one_ticket_however_often_it_is_sent(api: Api, tenant: Tenant) -> None:
    kind, body, key = make_type(tenant, "refund"), {"type": "refund", "subject": "Charged twice"}, {"Idempotency-Key": "order-7"}
    assert api.post("/api/tickets/", {**body, "subject": " "}, headers=key).status_code == 422, "what is refused leaves no key"
    made = api.post("/api/tickets/", body, headers=key)
    api.post(f"/api/tickets/{json_of(made)['id']}/move/", {"action": "resolve"})
    type(kind).objects.filter(pk=kind.pk).update(is_active=False)
    again = api.post("/api/tickets/", body, headers=key)
    assert [(answer.status_code, answer.get("Idempotent-Replayed")) for answer in (made, again)] == [(201, None), (201, "true")]
    assert [json_of(again)[name] for name in ("id", "number", "status")] == [json_of(made)["id"], 1, "resolved"], "as it is by now"
    other = api.post("/api/tickets/", {**body, "subject": "Another"}, headers=key)
    assert (other.status_code, json_of(other)["code"]) == (409, "idempotency_key_reused")
    assert fields_of(api.post("/api/tickets/", body, headers={"Idempotency-Key": "with space"})) == ["Idempotency-Key"]
    assert Ticket.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_requests_with_one_key_at_the_same_moment_one_opens_the_ticket(tenant: Tenant) -> None:
    make_type(tenant, "refund")
    made, came = make_api(tenant, TICKETS_READ, TICKETS_WRITE), threading.Barrier(4, timeout=30)
    body = {"type": "refund", "subject": "Twice"}
    answers: list[int] = []

    def send() -> None:
        try:
            came.wait()
            answers.append(json_of(made.post("/api/tickets/", body, headers={"Idempotency-Key": "one"}))["number"])
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (answers, Ticket.objects.count()) == ([1] * 4, 1)


def test_a_work_order_is_opened_once_for_a_key(api: Api, tenant: Tenant) -> None:
    make_type(tenant, "repair", kind=TicketKind.WORK_ORDER, group=make_group(tenant, "workshop", at=NOW))
    here = f"/api/tickets/{make_ticket(tenant).pk}/work-orders/"
    numbers = [json_of(api.post(here, {"type": "repair", "subject": "Mend it"}, headers={"Idempotency-Key": "w1"}))["number"] for _ in "ab"]
    assert numbers == [2, 2]


def test_the_list_is_filtered_and_searched(api: Api, tenant: Tenant) -> None:
    kind, group = make_type(tenant, "repair"), make_group(tenant, "workshop", at=NOW)
    lamp = make_ticket(tenant, kind, subject="Lamp", customer=make_customer(tenant, name="Grace Miller"), tags=["vip"], due_on=NOW.date())
    chair = make_ticket(tenant, subject="Chair", group=group, priority="urgent")
    make_ticket(tenant, subject="Table", status="closed")

    def found(**query: Any) -> list[str]:
        return sorted(row["subject"] for row in json_of(api.get("/api/tickets/", **query))["results"])

    assert found(open="true") == ["Chair", "Lamp"]
    assert found(type="repair") == found(tag="vip") == found(due_before="2026-11-27") == found(q="grace") == ["Lamp"]
    assert found(q=f"#{chair.number}") == found(group="workshop") == found(priority="urgent") == found(status="queued") == ["Chair"]
    assert found(q="amp", customer=str(lamp.customer_id)) == ["Lamp"]
    assert fields_of(api.get("/api/tickets/", status="done")) == ["status"]
    text = b"".join(api.get("/api/tickets/export/", tag="vip").streaming_content).decode()
    assert "Grace Miller" in text
    assert "Chair" not in text
    assert AuditEntry.objects.filter(action="ticket.export", tenant=tenant).count() == 1


def test_a_list_costs_the_same_however_long_it_is(api: Api, tenant: Tenant, django_assert_max_num_queries: Any) -> None:
    kind = make_type(tenant)
    for _ in range(12):
        make_ticket(tenant, kind, customer=make_customer(tenant), agent=make_agent(tenant, at=NOW), tags=["a", "b"])
    api.get("/api/tickets/")
    with django_assert_max_num_queries(6):
        assert len(json_of(api.get("/api/tickets/"))["results"]) == 12


def test_what_belongs_to_a_ticket_is_added_and_removed(api: Api, tenant: Tenant) -> None:
    make_type(tenant, "pack", kind=TicketKind.WORK_ORDER, group=make_group(tenant, "warehouse", at=NOW))
    ticket, other, agent = make_ticket(tenant), make_ticket(tenant), make_agent(tenant, at=NOW)
    here = f"/api/tickets/{ticket.pk}/"
    note = json_of(api.post(f"{here}notes/", {"text": "Call back", "mentions": [str(agent.pk)], "client_id": "n1"}))
    assert json_of(api.post(f"{here}notes/", {"text": "Call back", "client_id": "n1"}))["id"] == note["id"]
    link = json_of(api.post(f"{here}links/", {"other": str(other.pk), "kind": "duplicate"}))["id"]
    item = json_of(api.post(f"{here}checklist/", {"text": "Ask for a photo"}))["id"]
    assert json_of(api.put(f"{here}checklist/{item}/", {"done": True}))["done_at"]
    assert api.post(f"{here}watchers/", {"agent": str(agent.pk)}).status_code == 201
    order = json_of(api.post(f"{here}work-orders/", {"type": "pack", "subject": "Pack a lamp"}))
    assert (order["kind"], order["group"]) == ("work_order", "warehouse")
    undone = api.post(f"{here}move/", {"action": "resolve"})
    assert (json_of(undone)["code"], json_of(undone)["work_orders"]) == ("not_done", [f"#{order['number']}"])
    assert [len(json_of(api.get(f"{here}{part}/"))) for part in ("notes", "links", "checklist", "watchers", "work-orders")] == [1] * 5
    for part in (f"links/{link}/", f"checklist/{item}/", f"watchers/{agent.pk}/"):
        assert api.delete(f"{here}{part}").status_code == 204
        assert api.delete(f"{here}{part}").status_code == 404


def test_tickets_are_merged_split_again_and_followed_up(api: Api, tenant: Tenant) -> None:
    ticket, other = make_ticket(tenant), make_ticket(tenant)
    here = f"/api/tickets/{ticket.pk}/"
    assert json_of(api.post(f"{here}merge/", {"into": str(ticket.pk)}))["code"] == "same_ticket"
    assert json_of(api.post(f"{here}merge/", {"into": str(other.pk)}))["number"] == other.number
    assert json_of(api.patch(here, {"subject": "Late"}))["code"] == "ticket_over"
    assert json_of(api.post(f"{here}unmerge/"))["status"] == "new"
    assert json_of(api.post(f"{here}follow-up/"))["code"] == "ticket_still_open"
    assert json_of(api.post(f"{here}move/", {"action": "resolve", "force": True}))["status"] == "resolved"
    assert json_of(api.post(f"{here}follow-up/", {"subject": "Again"}))["subject"] == "Again"


def test_tickets_of_two_customers_are_merged_only_if_the_caller_says_so(api: Api, tenant: Tenant) -> None:
    grace, alan = make_customer(tenant, name="Grace"), make_customer(tenant, name="Alan")
    ticket, other = make_ticket(tenant, customer=grace, subject="Secret"), make_ticket(tenant, customer=alan)
    here = f"/api/tickets/{ticket.pk}/merge/"
    refused = api.post(here, {"into": str(other.number)})
    told = json_of(refused)
    names = [one["name"] for one in told["customers"]]
    assert (refused.status_code, told["code"], names) == (409, "different_customers", ["Grace", "Alan"])
    assert json_of(api.post(here, {"into": str(other.number), "across_customers": True}))["number"] == other.number
    events = [one for one in json_of(api.get(f"/api/tickets/{other.pk}/events/")) if one["kind"] == "took_in"]
    assert [one["data"]["across_customers"] for one in events] == [[str(grace.pk), str(alan.pk)]]
    assert "Secret" not in str(events), "what one customer's history tells of another outlives them"


def test_an_agent_and_a_group_that_do_not_go_together_are_refused_with_the_field(api: Api, tenant: Tenant) -> None:
    make_type(tenant, "refund")
    billing, repair = make_group(tenant, "billing", at=NOW), make_group(tenant, "repair", at=NOW)
    ada, bob = make_agent(tenant, billing, at=NOW), make_agent(tenant, repair, at=NOW)
    new = {"type": "refund", "subject": "Twice", "agent": ada.user.username}
    assert fields_of(api.post("/api/tickets/", {**new, "group": "repair"})) == ["agent"]
    made = json_of(api.post("/api/tickets/", new))
    assert (made["group"], made["status"]) == ("billing", "assigned")
    here = f"/api/tickets/{made['id']}/"
    assert fields_of(api.patch(here, {"group": "repair"})) == ["group"]
    assert fields_of(api.patch(here, {"group": "repair", "agent": ada.user.username})) == ["agent"]
    assert fields_of(api.post(f"{here}assign/", {"group": "billing", "agent": bob.user.username})) == ["agent"]
    assert json_of(api.post(f"{here}assign/", {"agent": bob.user.username}))["group"] == "repair", "the agent's own"
    assert json_of(api.patch(here, {"group": "billing", "agent": ada.user.username}))["group"] == "billing"
    assert json_of(api.post(f"{here}assign/", {"group": "repair"}))["agent"] is None
    assert json_of(api.post(f"{here}move/", {"action": "begin", "agent": ada.user.username}))["group"] == "billing"


def test_types_and_tags_are_kept_and_what_is_wrong_is_named(api: Api, tenant: Tenant) -> None:
    body = {"name": "refund", "title": "Refund", "fields": [{"key": "why", "kind": "choice", "label": "Why"}]}
    assert fields_of(api.post("/api/ticket-types/", body)) == ["fields[0].choices"]
    body["fields"] = [{"key": "why", "kind": "choice", "label": "Why", "choices": [{"value": "Broken", "zh": "损坏"}]}]
    assert api.post("/api/ticket-types/", body).status_code == 201
    assert fields_of(api.post("/api/ticket-types/", body)) == ["name"]
    assert fields_of(api.patch("/api/ticket-types/refund/", {"name": "other"})) == ["name"]
    assert json_of(api.patch("/api/ticket-types/refund/", {"checklist": ["Look"]}))["checklist"] == ["Look"]
    tag = json_of(api.post("/api/tags/", {"name": " two  words "}))
    assert tag["name"] == "two words"
    assert fields_of(api.post("/api/tags/", {"name": "two words"})) == ["name"]
    assert json_of(api.patch(f"/api/tags/{tag['id']}/", {"name": "one"}))["name"] == "one"
    assert api.delete(f"/api/tags/{tag['id']}/").status_code == 204
    assert api.delete("/api/ticket-types/refund/").status_code == 204


def test_a_key_that_may_only_write_learns_what_became_of_the_ticket_and_no_more(tenant: Tenant) -> None:
    kind = make_type(tenant)
    made = json_of(make_api(tenant, "tickets:write").post("/api/tickets/", {"type": kind.name, "subject": "Lamp"}))
    assert set(made) == {"id", "number", "status", "version"}
    assert Ticket.objects.get(pk=made["id"]).subject == "Lamp"
