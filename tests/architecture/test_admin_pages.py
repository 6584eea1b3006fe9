"""Pages of single rows: an owner of one tenant changes no row of another in which he only looks.

The addresses are those of the admin: a new page must say here what it is asked, or that it changes nothing.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from accounts.models import ApiKey, Member, Tenant, User
from accounts.roles import Role
from accounts.tenancy import owned_by, tenant_path
from messaging.content import editing
from messaging.models import Batch, Message, Provider, Status, Template, WebhookDelivery, WebhookEndpoint
from routing.models import (
    Agent,
    BusinessCalendar,
    Customer,
    CustomerMerge,
    Entrance,
    FaqEntry,
    Identity,
    Intent,
    IntentModel,
    QuickReply,
    SafeLink,
    SkillGroup,
    Tag,
    TicketType,
    Utterance,
)
from tests.architecture.test_roles import state
from tests.architecture.test_tenants import Owned, make_everything
from tests.builders import RECIPIENTS, TESTER, make_endpoint, make_message, make_tenant
from tests.kept import kept
from tests.routing.intents.builders import make_small_set

pytestmark = pytest.mark.django_db
PAGES = {model: page for model, page in admin.site._registry.items() if tenant_path(model) is not None}
#: What Django gives every model.
LISTS, ADD, CHANGE, DELETE = {"changelist", "export", "history"}, "add", "change", "delete"
#: Pages that change nothing, and why a reader may have them.
READS = {
    "messaging_batch_change": "shows a batch, whatever the method",
    "messaging_message_change": "shows a message, whatever the method",
    "messaging_templateversion_change": "shows a version, whatever the method",
    "routing_assignment_change": "shows an assignment, whatever the method",
    "messaging_webhookdelivery_change": "shows a delivery, whatever the method",
    "routing_customer_change": "shows a customer, whatever the method",
    "routing_customermerge_change": "shows a merge, whatever the method",
    "routing_safelink_change": "shows a link, whatever the method",
    "messaging_message_html": "shows a message's text",
    "routing_ticket_change": "shows a ticket, whatever the method; what is done with it goes by the desk's page",
    "routing_conversation_change": "shows a conversation, whatever the method",
    "messaging_message_trace": "shows a message's trace",
    "messaging_templateversion_html": "shows a version's text",
    "messaging_template_live_preview": "renders what was sent with the request; no row is read",
    "messaging_template_live_html": "renders what was sent with the request; no row is read",
    "routing_intent_starting_set": "asks for the tenant in its form; see tests/routing/intents/test_admin",
    "routing_utterance_label": "asks for the tenant in its form; see tests/routing/intents/test_admin",
    "routing_utterance_import": "asks for the tenant in its form; see tests/routing/intents/test_admin",
    "routing_intentmodel_change": "shows a version, whatever the method",
    "routing_faqentry_import": "asks for the tenant in its form; see tests/routing/faq/test_admin",
}


@dataclass(frozen=True)
class Case:
    """What a page is asked: the row, what else stands in the address, what is posted. TENANT stands for the row's tenant."""

    model: type[models.Model]
    row: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    #: Other rows in the address, by its parameter.
    rows: Mapping[str, tuple[type[models.Model], Mapping[str, Any]]] = field(default_factory=dict)


TENANT = "(the tenant)"
USER = "(a member)"
WORDING = {"subject": "", "body": "Mine {{ code }}", "html": "", "variables": '[{"name": "code", "required": true, "example": "1"}]'}
PROVIDER = {"name": "mine", "channel": "sms", "kind": "sandbox", "weight": "1"}
ADA = {"name": "A's own Ada"}
ENDPOINT = {"name": "mine", "url": "http://127.0.0.1:9/mine", "event_types": ["*"], "max_events": "7"}
NO_SKILLS = {f"skills-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
AGENT = {"name": "mine", "weight": "2", "is_active": "on", **NO_SKILLS}
NO_DAYS = {f"days-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
CALENDAR = {"name": "mine", "title": "Mine", "time_zone": "UTC", "day_1": "09:00-17:00", **NO_DAYS}
ENTRY = {"question": "Mine?", "answer": "Mine", "slug": "mine"}
CASES: dict[str, list[Case]] = {
    "accounts_apikey_revoke": [Case(ApiKey)],
    "messaging_batch_do": [
        Case(Batch, {"status": "running"}, more={"verb": "pause"}),
        Case(Batch, {"status": "paused"}, more={"verb": "resume"}),
        Case(Batch, {"status": "running"}, more={"verb": "cancel"}),
    ],
    "messaging_message_reveal": [Case(Message)],
    "messaging_message_do": [
        Case(Message, {"status": Status.PENDING}, more={"verb": "cancel"}),
        Case(Message, {"status": Status.FAILED}, more={"verb": "retry"}),
        Case(Message, {"status": Status.UNKNOWN}, more={"verb": "settle_sent"}),
        Case(Message, {"status": Status.UNKNOWN}, more={"verb": "settle_failed"}),
    ],
    "messaging_provider_test": [Case(Provider, data={"recipient": RECIPIENTS["sms"], "text": "Hello"})],
    "messaging_provider_secret": [Case(Provider)],
    "messaging_provider_new_secret": [Case(Provider)],
    "messaging_provider_breaker": [Case(Provider, data={"to": "open"})],
    "messaging_webhookendpoint_test": [Case(WebhookEndpoint)],
    "messaging_webhookendpoint_rotate": [Case(WebhookEndpoint, data={"keep_for": "3600"})],
    "messaging_webhookendpoint_disable": [Case(WebhookEndpoint, {"is_enabled": True})],
    "messaging_webhookendpoint_enable": [Case(WebhookEndpoint, {"is_enabled": False})],
    "messaging_webhookdelivery_replay": [Case(WebhookDelivery)],
    "messaging_webhookendpoint_change": [Case(WebhookEndpoint, data=ENDPOINT)],
    "messaging_webhookendpoint_delete": [Case(WebhookEndpoint, data={"post": "yes"})],
    "messaging_template_publish": [Case(Template)],
    "routing_customer_edit": [Case(Customer, ADA, {"name": "mine"})],
    "routing_customer_identity": [Case(Customer, ADA, {"kind": "own", "value": "mine"})],
    "routing_customer_remove_identity": [Case(Customer, ADA, rows={"identity": (Identity, {"value": "a-own@example.com"})})],
    "routing_customer_attribute": [Case(Customer, ADA, {"name": "vip", "value": "true"})],
    "routing_customer_export_data": [Case(Customer, ADA)],
    "routing_customer_merge": [Case(Customer, {"name": "A's own Bob"}, {"other": "a-own@example.com"})],
    "routing_customer_erase": [Case(Customer, ADA, {"number": "0"})],
    "routing_customermerge_undo": [Case(CustomerMerge, {"state": "done"})],
    "routing_customermerge_dismiss": [Case(CustomerMerge, {"state": "suggested"})],
    "routing_safelink_revoke": [Case(SafeLink)],
    "routing_quickreply_change": [
        Case(QuickReply, {"shortcut": "a-own-hello"}, {"shortcut": "mine", "title": "Mine", "text": "Mine", "language": ""})
    ],
    "routing_quickreply_delete": [Case(QuickReply, {"shortcut": "a-own-hello"}, {"post": "yes"})],
    "routing_skillgroup_change": [Case(SkillGroup, {"name": "a-own-empty"}, {"name": "mine", "title": "Mine"})],
    "routing_skillgroup_delete": [Case(SkillGroup, {"name": "a-own-empty"}, {"post": "yes"})],
    "routing_agent_change": [Case(Agent, {"name": "A's own agent"}, AGENT)],
    "routing_agent_delete": [Case(Agent, {"name": "A's own new agent"}, {"post": "yes"})],
    "routing_businesscalendar_change": [Case(BusinessCalendar, data=CALENDAR)],
    "routing_businesscalendar_delete": [Case(BusinessCalendar, data={"post": "yes"})],
    "routing_businesscalendar_import": [Case(BusinessCalendar, data={"country": "DE", "part": "", "year": "2026", "apply": "1"})],
    "routing_businesscalendar_import_file": [Case(BusinessCalendar, data={"data": "2027-01-01,mine", "version": "0", "apply": "1"})],
    "routing_tickettype_change": [Case(TicketType, {"name": "a-own-order"}, {"title": "Mine", "priority": "low"})],
    "routing_tickettype_delete": [Case(TicketType, {"name": "a-own-order"}, {"post": "yes"})],
    "routing_tag_change": [Case(Tag, data={"name": "mine"})],
    "routing_tag_delete": [Case(Tag, data={"post": "yes"})],
    "routing_intentmodel_do": [Case(IntentModel, {"state": "ready"}, more={"verb": "activate"})],
    "routing_intent_change": [Case(Intent, {"name": "a-own-intent"}, {"title": "Mine"})],
    "routing_intent_delete": [Case(Intent, {"name": "a-own-intent"}, {"post": "yes"})],
    "routing_utterance_change": [Case(Utterance, data={"state": "rejected"})],
    "routing_faqentry_change": [Case(FaqEntry, {"slug": "a-own-draft"}, ENTRY)],
    "routing_faqentry_delete": [Case(FaqEntry, {"slug": "a-own-draft"}, {"post": "yes"})],
    "routing_faqentry_do": [
        Case(FaqEntry, {"slug": "a-own-draft"}, more={"verb": "submit"}),
        Case(FaqEntry, {"slug": "a-own-review"}, more={"verb": "return"}),
        Case(FaqEntry, {"slug": "a-own-review"}, more={"verb": "publish"}),
        Case(FaqEntry, {"slug": "a-own-published"}, more={"verb": "archive"}),
        Case(FaqEntry, {"slug": "a-own-archived"}, more={"verb": "restore"}),
    ],
    "routing_entrance_test": [Case(Entrance, {"kind": "webhook"})],
    "routing_entrance_change": [Case(Entrance, {"kind": "webhook"}, {"name": "mine", "secret_secret": "m" * 32})],
    "routing_entrance_delete": [Case(Entrance, {"kind": "webhook"}, {"post": "yes"})],
    "accounts_member_change": [Case(Member, {"user__username": "bob"}, {"role": "operator"})],
    "accounts_member_delete": [Case(Member, {"user__username": "bob"}, {"post": "yes"})],
    "messaging_provider_change": [Case(Provider, data=PROVIDER)],
    "messaging_template_change": [Case(Template, data={"name": "a-own-words", "channel": "sms", "description": "mine", **WORDING})],
}
#: What is added to a tenant.
ADDED: dict[str, dict[str, Any]] = {
    "accounts_apikey_add": {"tenant": TENANT, "name": "mine", "kind": "live", "scopes": ["messages:read"]},
    "accounts_member_add": {"tenant": TENANT, "username": "carol", "role": "viewer"},
    "messaging_provider_add": {"tenant": TENANT, **PROVIDER},
    "messaging_suppression_add": {"tenant": TENANT, "recipients": "eve@example.com", "channel": "email", "reason": "manual"},
    "messaging_webhookendpoint_add": {"tenant": TENANT, "is_enabled": "on", **ENDPOINT},
    "routing_quickreply_add": {"tenant": TENANT, "shortcut": "mine", "title": "Mine", "text": "Mine"},
    "routing_skillgroup_add": {"tenant": TENANT, "name": "mine", "title": "Mine"},
    "routing_businesscalendar_add": {"tenant": TENANT, **CALENDAR},
    "routing_agent_add": {"tenant": TENANT, "user": USER, **AGENT},
    "routing_tickettype_add": {"tenant": TENANT, "name": "mine", "title": "Mine", "kind": "request", "priority": "low"},
    "routing_tag_add": {"tenant": TENANT, "name": "mine"},
    "messaging_template_add": {"tenant": TENANT, "name": "mine", "channel": "sms", **WORDING},
    "routing_intent_add": {"tenant": TENANT, "name": "mine"},
    "routing_utterance_add": {"tenant": TENANT, "texts": "mine"},
    "routing_faqentry_add": {"tenant": TENANT, "language": "en", **ENTRY, "slug": ""},
    "routing_intentmodel_add": {"tenant": TENANT},
    "routing_entrance_add": {"tenant": TENANT, "name": "mine", "kind": "webhook", "is_enabled": "on", "secret_secret": "m" * 32},
}  # fmt: skip


def walked() -> list[tuple[type[models.Model], str]]:
    """Return the models of tenants with the names of their pages."""
    return [(model, pattern.name) for model, page in PAGES.items() for pattern in page.get_urls() if pattern.name]


def standard(model: type[models.Model], verb: str) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}_{verb}"


def is_refused(answer: Any) -> bool:
    """Whether a page was not shown; where there is no such row for a reader, Django's own pages lead to the start."""
    return answer.status_code in (403, 404) or (answer.status_code == 302 and answer["Location"] == reverse("admin:index"))


def make_other() -> Owned:
    made = make_everything("Other")
    make_message(made.tenant, status=Status.UNKNOWN)
    make_endpoint(made.tenant, is_enabled=False)
    IntentModel.objects.filter(pk=made.training.pk).update(state="failed")
    Utterance.objects.filter(pk=made.utterance.pk).update(held_out=True)
    make_small_set(made.tenant)
    for name in ("bob", "carol"):
        User.objects.create(username=name, is_staff=True)
    Member.objects.create(user=User.objects.get(username="bob"), tenant=made.tenant, role=Role.VIEWER)
    wording = {"subject": "", "body": "Second {{ code }}", "html": "", "variables": [{"name": "code", "required": True, "example": "1"}]}
    editing.save_draft(template=made.template, wording=wording, by=TESTER)
    return made


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Owned]:
    yield from kept(django_db_blocker, make_other)


@pytest.fixture
def other(made: Owned) -> Owned:
    return copy.deepcopy(made)


@pytest.fixture
def client(other: Owned) -> Client:
    user = User.objects.create(username="ada", is_staff=True)
    Member.objects.create(user=user, tenant=make_tenant("Own"), role=Role.OWNER)
    Member.objects.create(user=user, tenant=other.tenant, role=Role.VIEWER)
    client = Client(raise_request_exception=True)
    client.force_login(user)
    return client


def address(name: str, case: Case, tenant: Tenant) -> str:
    row = owned_by(case.model._default_manager.all(), tenant.pk).filter(**case.row).first()
    assert row is not None, "nothing to try it on"
    pattern = next(pattern for page in PAGES.values() for pattern in page.get_urls() if pattern.name == name)
    key = next(known for known in pattern.pattern.converters if known not in {*case.more, *case.rows})
    others = {known: owned_by(model._default_manager.all(), tenant.pk).get(**of).pk for known, (model, of) in case.rows.items()}
    return reverse(f"admin:{name}", kwargs={key: row.pk, **case.more, **others})


def posted(data: Mapping[str, Any], tenant: Tenant) -> dict[str, Any]:
    filled = {TENANT: lambda: tenant.pk, USER: lambda: User.objects.get(username="bob").pk}
    return {name: filled[value]() if value in (TENANT, USER) else value for name, value in data.items()}


SINGLE = [pytest.param(name, case, id="-".join([name, *case.more.values()])) for name, cases in CASES.items() for case in cases]


def test_every_page_of_the_admin_says_here_what_it_changes() -> None:
    known = {*CASES, *ADDED, *READS}
    standards = {standard(model, verb) for model in PAGES for verb in (*LISTS, ADD, CHANGE, DELETE)}
    names = {name for _model, name in walked()}
    assert sorted(names - known - standards) == []
    assert sorted(known - names) == []


@pytest.mark.parametrize(("name", "case"), SINGLE)
def test_an_owner_elsewhere_changes_nothing_on_a_page_of_a_row(name: str, case: Case, other: Owned, client: Client) -> None:
    path, before = address(name, case, other.tenant), state(other)
    assert is_refused(client.post(path, posted(case.data, other.tenant)))
    assert state(other) == before


@pytest.mark.parametrize(("name", "case"), SINGLE)
def test_a_stranger_finds_no_such_row(name: str, case: Case, other: Owned, client: Client) -> None:
    Member.objects.filter(user__username="ada", tenant=other.tenant).delete()
    path, before = address(name, case, other.tenant), state(other)
    assert is_refused(client.post(path, posted(case.data, other.tenant)))
    assert state(other) == before


@pytest.mark.parametrize(("name", "case"), SINGLE)
def test_the_same_page_has_an_effect_for_an_owner_of_the_tenant(name: str, case: Case, other: Owned, client: Client) -> None:
    Member.objects.filter(user__username="ada", tenant=other.tenant).update(role=Role.OWNER)
    path, before = address(name, case, other.tenant), state(other)
    answer = client.post(path, posted(case.data, other.tenant))
    assert state(other) != before, answer.context and answer.context.get("errors")


def test_nothing_is_added_to_a_tenant_in_which_one_only_looks(other: Owned, client: Client) -> None:
    before, wrong = state(other), {}
    for model in PAGES:
        name = standard(model, ADD)
        answer = client.post(reverse(f"admin:{name}"), posted(ADDED.get(name, {"tenant": TENANT}), other.tenant))
        if answer.status_code not in (403, 404) and not (answer.status_code in (200, 422) and name in ADDED):
            wrong[name] = answer.status_code
    assert (wrong, state(other)) == ({}, before)


@pytest.mark.parametrize("name", ADDED)
def test_the_same_is_added_by_an_owner_of_the_tenant(name: str, other: Owned, client: Client) -> None:
    Member.objects.filter(user__username="ada", tenant=other.tenant).update(role=Role.OWNER)
    before = state(other)
    answer = client.post(reverse(f"admin:{name}"), posted(ADDED[name], other.tenant))
    assert state(other) != before, answer.context and answer.context.get("errors")


@pytest.mark.parametrize("verb", [CHANGE, DELETE])
@pytest.mark.parametrize("model", PAGES, ids=lambda model: model.__name__)
def test_no_row_is_changed_or_deleted_by_one_who_only_looks(model: type[models.Model], verb: str, other: Owned, client: Client) -> None:
    before, name = state(other), standard(model, verb)
    for row in owned_by(model._default_manager.all(), other.tenant.pk):
        answer = client.post(reverse(f"admin:{name}", args=[row.pk]), {"post": "yes", "name": other.tenant.slug})
        assert name in READS or is_refused(answer), (row, answer.status_code)
    assert state(other) == before
