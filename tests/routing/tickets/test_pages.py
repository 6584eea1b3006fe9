"""The desk's pages of tickets, and types and tickets in the admin."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import Member, Tenant, User
from accounts.roles import Role
from routing.models import Agent, Note, Ticket, TicketKind, TicketType
from routing.tickets import changing, merging, progress
from tests.builders import TESTER, make_tenant
from tests.routing.assignment.builders import make_agent, make_group
from tests.routing.builders import make_customer
from tests.routing.desk.builders import ask, make_desk
from tests.routing.tickets.builders import LATER, NOW, make_ticket, make_type

pytestmark = pytest.mark.django_db
LIST, NEW = "/desk/tickets/", "/desk/tickets/new/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def agent(tenant: Tenant) -> Agent:
    return make_agent(tenant, make_group(tenant, "billing", at=NOW), at=NOW, name="Ada")


@pytest.fixture
def desk(agent: Agent) -> Client:
    return signed_in(agent.user)


def do(client: Client, ticket: Ticket, action: str, **given: Any) -> Any:
    return client.post(f"{LIST}{ticket.number}/", {"do": action, **given})


def test_the_list_has_views_filters_and_search_and_keeps_tenants_apart(desk: Client, agent: Agent, tenant: Tenant) -> None:
    kind = make_type(tenant)
    make_ticket(tenant, kind, subject="Mine", agent=agent)
    make_ticket(tenant, kind, subject="Of the group", group=agent.skills.get().group)
    make_ticket(tenant, kind, subject="Free", customer=make_customer(tenant, name="Grace"))
    make_ticket(make_tenant(), subject="Of others")

    def shown(query: str = "") -> set[str]:
        text = desk.get(f"{LIST}{query}").content.decode()
        return {name for name in ("Mine", "Of the group", "Free", "Of others") if f"</span> {name}</a>" in text}

    assert shown() == {"Mine"}
    assert shown("?view=group") == {"Mine", "Of the group"}, "with an agent, a ticket is of the agent's group"
    assert shown("?view=unassigned") == {"Of the group", "Free"}
    assert shown("?view=all") == {"Mine", "Of the group", "Free"}
    assert shown("?view=all&q=grace&status=open") == {"Free"}
    assert "Grace" in b"".join(desk.get(f"{LIST}?view=all&csv=1").streaming_content).decode()  # type: ignore[attr-defined]


def test_an_agent_takes_works_on_and_resolves_a_ticket(desk: Client, agent: Agent, tenant: Tenant) -> None:
    ticket = make_ticket(tenant, make_type(tenant, checklist=["Call back"]))
    do(desk, ticket, "take", version=0)
    do(desk, ticket, "begin", version=1)
    do(desk, ticket, "note", text="Broken glass")
    do(desk, ticket, "watch")
    refused = do(desk, ticket, "resolve", version=2)
    assert refused.status_code == 409
    assert "Call back" in refused.content.decode()
    do(desk, ticket, "tick", item=str(ticket.checklist.get().pk), done="1")
    do(desk, ticket, "resolve", version=2)
    row = Ticket.objects.get(pk=ticket.pk)
    assert (row.status, row.agent, Note.objects.get().agent) == ("resolved", agent, agent)
    page = desk.get(f"{LIST}{ticket.number}/").content.decode()
    for words in ("Broken glass", "Status: In progress → Resolved", "Checklist item done", "Stop watching"):
        assert words in page


def test_a_change_that_came_second_shows_what_was_changed_and_keeps_what_was_typed(desk: Client, tenant: Tenant) -> None:
    ticket = make_ticket(tenant, make_type(tenant, fields=[{"key": "order", "kind": "order", "label": "Order"}]))
    given = {"version": 0, "subject": "Lamp", "priority": "low", "tags": "vip，lamp", "own_order": "A-1", "description": "", "due_on": ""}
    changing.change(ticket=ticket, values={"priority": "high"}, by=TESTER, now=LATER)
    answer = do(desk, ticket, "edit", **given)
    assert answer.status_code == 409
    assert "priority" in answer.content.decode()
    assert 'value="A-1"' in answer.content.decode()
    assert do(desk, ticket, "edit", **{**given, "version": 1, "own_order": "<b>"}).status_code == 422
    assert do(desk, ticket, "edit", **{**given, "version": 1}).status_code == 302
    row = Ticket.objects.get(pk=ticket.pk)
    assert (row.subject, row.fields, sorted(tag.name for tag in row.tags.all())) == ("Lamp", {"order": "A-1"}, ["lamp", "vip"])


def test_a_ticket_is_opened_by_the_form_of_its_type_and_a_work_order_from_its_page(desk: Client, tenant: Tenant) -> None:
    fields = [
        {"key": "order", "kind": "order", "label": "Order", "required": "open"},
        {"key": "parts", "kind": "choices", "label": "Parts", "choices": [{"value": "Shade"}, {"value": "Bulb"}]},
        {"key": "opened", "kind": "yes_no", "label": "Box opened"},
    ]
    make_type(tenant, "repair", fields=fields)
    make_type(tenant, "pack", kind=TicketKind.WORK_ORDER, group=make_group(tenant, "warehouse", at=NOW))
    assert "type=repair" in desk.get(NEW).content.decode()
    here, given = f"{NEW}?type=repair", {"subject": "Lamp", "priority": "high", "own_parts": ["Bulb"], "own_opened": "no"}
    assert desk.post(here, given).status_code == 422
    assert desk.post(here, {**given, "own_order": "A-1"}).status_code == 302
    ticket = Ticket.objects.get()
    assert ticket.fields == {"order": "A-1", "parts": ["Bulb"], "opened": False}
    assert desk.get(f"{NEW}?type=pack").status_code == 403
    assert desk.post(f"{NEW}?for={ticket.number}&type=pack", {"subject": "Pack", "priority": "normal"}).status_code == 302
    assert "Pack" in desk.get(f"{LIST}{ticket.number}/").content.decode()


def test_tickets_are_linked_merged_and_split_again_by_their_numbers(desk: Client, tenant: Tenant) -> None:
    ticket, other = make_ticket(tenant), make_ticket(tenant, subject="The other one")
    do(desk, ticket, "link", kind="duplicate", number=f"#{other.number}")
    assert "Duplicate of" in desk.get(f"{LIST}{ticket.number}/").content.decode()
    assert do(desk, ticket, "merge", number=str(ticket.number), version=0).status_code == 409
    assert do(desk, ticket, "merge", number="4711", version=0).status_code == 422
    do(desk, ticket, "merge", number=str(other.number), version=0)
    assert Ticket.objects.get(pk=ticket.pk).merged_into == other
    assert do(desk, ticket, "unmerge").status_code == 302
    assert Ticket.objects.get(pk=ticket.pk).status == "new"


def test_tickets_of_two_customers_are_merged_only_after_the_page_has_named_both(desk: Client, tenant: Tenant) -> None:
    grace, alan = (make_customer(tenant, name=name) for name in ("Grace", "Alan"))
    ticket, other = make_ticket(tenant, customer=grace, subject="Secret"), make_ticket(tenant, customer=alan)
    asked = do(desk, ticket, "merge", number=str(other.number), version=0)
    said = asked.content.decode()
    assert asked.status_code == 409
    assert all(text in said for text in ("Ticket #1 is of Grace, ticket #2 is of Alan.", "Merge across customers"))
    assert Ticket.objects.get(pk=ticket.pk).merged_into is None
    assert do(desk, ticket, "merge", number=str(other.number), version=0, across_customers="1").status_code == 302
    assert Ticket.objects.get(pk=ticket.pk).merged_into == other
    assert "#1, of another customer" in desk.get(f"{LIST}{other.number}/").content.decode()


def test_who_is_not_in_the_group_that_is_chosen_is_refused_under_the_field(desk: Client, agent: Agent, tenant: Tenant) -> None:
    make_type(tenant, "repair")
    other = make_group(tenant, "repair", at=NOW)
    given = {"subject": "Lamp", "priority": "normal", "agent": str(agent.pk), "group": str(other.pk)}
    refused = desk.post(f"{NEW}?type=repair", given)
    assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["agent"])
    assert desk.post(f"{NEW}?type=repair", {**given, "group": ""}).status_code == 302
    ticket = Ticket.objects.get()
    assert (ticket.agent, ticket.group) == (agent, agent.skills.get().group)
    assert do(desk, ticket, "assign", agent=str(agent.pk), group=str(other.pk), version=ticket.version).status_code == 422


def test_a_viewer_looks_and_an_outsider_finds_nothing(tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    viewer, stranger = (User.objects.create(username=name, is_staff=True) for name in ("viewer", "stranger"))
    Member.objects.create(tenant=tenant, user=viewer, role=Role.VIEWER)
    Member.objects.create(tenant=make_tenant(), user=stranger, role=Role.OWNER)
    looks, other = signed_in(viewer), signed_in(stranger)
    assert 'name="do"' not in looks.get(f"{LIST}{ticket.number}/").content.decode()
    assert do(looks, ticket, "hold").status_code == 403
    assert other.get(f"{LIST}{ticket.number}/").status_code == 404
    assert do(other, ticket, "hold").status_code == 404
    assert Client().get(LIST).status_code == 302


def test_of_two_tenants_with_a_number_the_address_names_one(agent: Agent, tenant: Tenant) -> None:
    second = make_tenant()
    Member.objects.create(tenant=second, user=agent.user, role=Role.OPERATOR)
    make_ticket(tenant, subject="Of the first")
    make_ticket(second, subject="Of the second")
    client = signed_in(agent.user)
    assert "Of the first" in client.get(f"{LIST}1/").content.decode()
    page = client.get(f"{LIST}1/?tenant={second.slug}").content.decode()
    assert f'action="/desk/tickets/1/?tenant={second.slug}"' in page
    client.post(f"{LIST}1/?tenant={second.slug}", {"do": "hold", "version": 0})
    assert [row.status for row in Ticket.objects.order_by("pk")] == ["new", "on_hold"]


def test_pages_cost_the_same_however_much_there_is(desk: Client, tenant: Tenant, django_assert_max_num_queries: Any) -> None:
    kind = make_type(tenant)
    ticket = make_ticket(tenant, kind)
    for n in range(8):
        other = make_ticket(tenant, kind, customer=make_customer(tenant), tags=[f"t{n}"], agent=make_agent(tenant, at=NOW))
        merging.merge(ticket=other, into=ticket, by=TESTER, now=NOW) if n % 2 else None
    progress.hold(ticket=ticket, by=TESTER, now=NOW)
    desk.get(f"{LIST}?view=all")
    with django_assert_max_num_queries(20):
        desk.get(f"{LIST}?view=all")
    with django_assert_max_num_queries(40):
        desk.get(f"{LIST}{ticket.number}/")


def rows_of(*rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    """Return the inputs of the fields of a type."""
    given = {"field-TOTAL_FORMS": len(rows), "field-INITIAL_FORMS": initial, "field-MIN_NUM_FORMS": 0, "field-MAX_NUM_FORMS": 50}
    return {**given, **{f"field-{n}-{name}": value for n, row in enumerate(rows) for name, value in {"kind": "text", **row}.items()}}


def test_an_operator_makes_a_type_with_fields_without_writing_json(desk: Client, tenant: Tenant) -> None:
    add = "/admin/routing/tickettype/add/"
    base = {"tenant": tenant.pk, "title": "Refund", "title_zh": "退款", "name": "refund", "kind": "request", "priority": "high"}
    base |= {"is_active": "on", "items": "Check the payment\n\nPay back"}
    wrong = desk.post(add, {**base, **rows_of({"label": "Reason", "kind": "choice"})})
    assert "Enter at least one choice." in wrong.content.decode()
    rows: list[dict[str, Any]] = [
        {"label": "Reason", "kind": "choice", "choices": "Damaged = 破损\nLate", "required": "open"},
        {"label": "订单号", "kind": "order"},
        {},
    ]
    assert desk.post(add, {**base, **rows_of(*rows)}).status_code == 302
    kind = TicketType.objects.get(name="refund")
    assert kind.checklist == ["Check the payment", "Pay back"]
    assert kind.fields == [
        {
            "label": "Reason",
            "key": "reason",
            "kind": "choice",
            "required": "open",
            "choices": [{"value": "Damaged", "zh": "破损"}, {"value": "Late"}],
        },
        {"label": "订单号", "key": "field_2", "kind": "order"},
    ]
    here = f"/admin/routing/tickettype/{kind.pk}/change/"
    assert "Damaged = 破损" in desk.get(here).content.decode()
    kept: list[dict[str, Any]] = [
        {"label": "Order", "kind": "order", "key": "field_2", "ORDER": 1},
        {"label": "Reason", "key": "reason", "DELETE": "on"},
    ]
    assert desk.post(here, {**base, **rows_of(*kept, initial=2)}).status_code == 302
    kind.refresh_from_db()
    assert kind.fields == [{"label": "Order", "key": "field_2", "kind": "order"}]


def test_the_admin_lists_tickets_and_shows_one_with_its_history(desk: Client, agent: Agent, tenant: Tenant) -> None:
    ticket = make_ticket(tenant, agent=agent)
    assert "The lamp is broken" in desk.get("/admin/routing/ticket/").content.decode()
    assert "Opened" in desk.get(f"/admin/routing/ticket/{ticket.pk}/change/").content.decode()
    assert "The lamp" in b"".join(desk.get("/admin/routing/ticket/export/").streaming_content).decode()  # type: ignore[attr-defined]
    desk.post("/admin/routing/tag/add/", {"tenant": tenant.pk, "name": "vip"})
    assert "vip" in desk.get("/admin/routing/tag/").content.decode()


def test_a_new_ticket_names_no_conversation_that_its_opener_may_not_read(tenant: Tenant) -> None:
    kind, viewer = make_type(tenant), make_desk(tenant, make_group(tenant, "billing", at=NOW))
    shown, hidden = ask(tenant, subject="Lamp 7"), ask(tenant, make_group(tenant, "secret", at=NOW), subject="Dismissal")
    pages = [viewer.client.get(f"{NEW}?type={kind.name}&conversation={each.pk}").content.decode() for each in (shown, hidden)]
    assert "Lamp 7" in pages[0]
    assert "Dismissal" not in pages[1]


def test_a_day_that_no_calendar_reaches_is_an_error_of_the_form(desk: Client, tenant: Tenant) -> None:
    ticket = make_ticket(tenant)
    given = {"subject": "Lamp", "priority": "high", "due_on": "9999-12-31"}
    assert do(desk, ticket, "edit", **given).status_code == 422
