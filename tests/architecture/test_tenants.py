"""One tenant never sees, and never touches, what belongs to another: tried at every address of the API."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core import serializers

from accounts.models import ApiKey, AuditEntry, Tenant
from accounts.services import audit
from configcenter.models import ConfigItem, ConfigNamespace, ConfigRelease
from configcenter.services import items, releases
from messaging.models import (
    Batch,
    BatchStatus,
    Message,
    Provider,
    Status,
    Suppression,
    Template,
    TemplateVersion,
    WebhookDelivery,
    WebhookEndpoint,
)
from messaging.providers.breakers import of_provider
from routing.models import (
    Agent,
    AgentSkill,
    Arrival,
    ArrivalState,
    Assignment,
    Attachment,
    BotTurn,
    BusinessCalendar,
    CalendarDay,
    ChecklistItem,
    Clock,
    ContactWay,
    Conversation,
    Customer,
    CustomerAttribute,
    CustomerMerge,
    Entrance,
    EntranceKind,
    FaqEntry,
    Identity,
    Intent,
    IntentModel,
    Line,
    LinkClick,
    ModelState,
    Note,
    SafeLink,
    Satisfaction,
    SkillGroup,
    Tag,
    Ticket,
    TicketEvent,
    TicketLink,
    TicketType,
    TicketWatcher,
    Utterance,
)
from tests.architecture.routes import Route, api_routes, methods_of
from tests.architecture.samples_assignment import ASSIGNMENT, INTO, OwnedDesk, make_desk
from tests.architecture.samples_faq import FAQ, OwnedFaq, make_faq
from tests.architecture.samples_routing import CUSTOMERS, OwnedCustomers, make_customers
from tests.architecture.samples_service_levels import LEVELS, OwnedLevels, make_levels
from tests.architecture.samples_tickets import TICKETS, OwnedTickets, make_tickets
from tests.builders import (
    Api,
    actor,
    fields_of,
    json_of,
    make_api,
    make_batch,
    make_delivery,
    make_endpoint,
    make_event,
    make_key,
    make_message,
    make_provider,
    make_suppression,
    make_template,
    make_tenant,
)
from tests.kept import undone
from tests.routing.builders import make_entrance, make_way
from tests.routing.conversations.builders import make_arrival, make_asked, make_attachment
from tests.routing.intents.builders import make_intent, make_utterance, make_version
from tests.routing.satisfaction.builders import make_rating

pytestmark = pytest.mark.django_db

#: Tables of the service desk.
DESK = (Conversation, Line, Attachment, Arrival, Entrance, ContactWay)
#: Not found by a key's tenant but by a signature; test_receipts shows that it reaches no other tenant.
SIGNED = {"api/receipts/<uuid:provider>/"}
#: A module's name is everybody's; test_api_config walks these addresses, for the installation's value and for a tenant's own.
MODULES = "api/config/modules/"
#: Jobs belong to the installation and show only to operators; tests/jobs/test_api.py walks these addresses.
JOBS = "api/jobs/"
#: Alarms are the installation's, so the tenant's rows have none; tests/monitor/alarms/test_api.py walks these addresses.
ALARMS = "api/alarms/"


@dataclass(frozen=True, slots=True)
class Owned:
    """A tenant with one of everything, and the identifiers no other tenant may ever read."""

    tenant: Tenant
    key: ApiKey
    pending: Message
    failed: Message
    running: Batch
    paused: Batch
    template: Template
    provider: Provider
    suppression: Suppression
    endpoint: WebhookEndpoint
    delivery: WebhookDelivery
    entry: AuditEntry
    item: ConfigItem
    customers: OwnedCustomers
    desk: OwnedDesk
    levels: OwnedLevels
    tickets: OwnedTickets
    intent: Intent
    utterance: Utterance
    version: IntentModel
    training: IntentModel
    conversation: Conversation
    attachment: Attachment
    rating: Satisfaction
    arrival: Arrival
    faq: OwnedFaq
    entrance: Entrance
    way: ContactWay

    @property
    def breaker(self) -> str:
        return of_provider(self.provider.pk)

    @property
    def empty_drawer(self) -> str:
        return "a-own-empty"

    def identifiers(self) -> set[str]:
        rows: list[Any] = [self.pending, self.failed, self.running, self.paused, self.provider, self.suppression, self.endpoint, self.entry]
        rows += self.customers.rows()
        rows += self.desk.rows()
        rows += self.levels.rows()
        rows += self.tickets.rows()
        rows += self.faq.rows()
        rows.append(self.utterance)
        rows += [self.conversation, self.attachment, self.arrival, self.rating]
        rows += [self.entrance, self.way]
        names = {self.template.name, self.provider.name, self.endpoint.name, self.item.data_id, self.item.namespace.slug}
        return {str(row.pk) for row in rows} | names | {self.key.prefix, self.tenant.slug, self.intent.name, "A's own"}


def make_everything(name: str) -> Owned:
    tenant = make_tenant(name)
    running, paused = make_batch(tenant, pending=1), make_batch(tenant, status=BatchStatus.PAUSED, pending=1)
    Batch.objects.filter(pk__in=[running.pk, paused.pk]).update(name="A's own")
    template = make_template(tenant, name="a-own-words", body="A's own {{ code }}")
    endpoint = make_endpoint(tenant, name="A's own endpoint")
    intent = make_intent(tenant, "a-own-intent")
    return Owned(
        tenant=tenant,
        key=make_key(tenant)[0],
        pending=make_message(tenant, reference="A's own"),
        failed=make_message(tenant, status=Status.FAILED),
        running=running,
        paused=paused,
        template=template,
        provider=make_provider(tenant, name="A's own provider"),
        suppression=make_suppression(tenant),
        endpoint=endpoint,
        delivery=make_delivery(endpoint),
        entry=audit.record(by=actor("user:a"), action="test", target="A's own", tenant_id=tenant.pk),
        item=make_item(tenant),
        customers=make_customers(tenant),
        desk=(desk := make_desk(tenant)),
        levels=make_levels(tenant),
        tickets=make_tickets(tenant, desk.agent),
        intent=intent,
        utterance=make_utterance(tenant, "A's own text", intent),
        version=make_version(tenant),
        training=make_version(tenant, state=ModelState.TRAINING),
        conversation=(conversation := make_asked(tenant)),
        attachment=make_attachment(conversation),
        rating=make_rating(conversation),
        arrival=make_arrival(conversation.entrance, state=ArrivalState.FAILED),
        faq=make_faq(tenant, conversation),
        entrance=make_entrance(tenant, EntranceKind.WEBHOOK, name="A's own entrance", secrets={"secret": "s" * 32}),
        way=make_way(make_entrance(tenant, EntranceKind.WECOM_CONTACT)),
    )


def make_item(tenant: Tenant) -> ConfigItem:
    """Make an item that was published twice, and an empty namespace beside it."""
    full, _empty = (
        items.create_namespace(tenant=tenant, slug=slug, name="", by=actor("user:a")) for slug in ("a-own-drawer", "a-own-empty")
    )
    item = items.create_item(
        namespace=full, group="a-own-group", data_id="a-own.yaml", format="yaml", description="A's own", by=actor("user:a")
    )
    for text in ("of: A", "of: A still"):
        releases.publish(item=item, content=text, comment="A's own", by=actor("user:a"))
    return item


#: The pattern of an address with a parameter → whose id stands there, and the body for each method that takes one.
#: A new address must be added here: the test says so.
ITEM = "api/config/items/<str:namespace>/<str:group>/<str:data_id>/"
ITS = "item.namespace.slug item.group item.data_id"
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "api/keys/<int:id>/revoke/": ("key.pk", {}),
    "api/messages/<uuid:id>/": ("pending.pk", {}),
    "api/messages/<uuid:id>/cancel/": ("pending.pk", {}),
    "api/messages/<uuid:id>/retry/": ("failed.pk", {}),
    "api/messages/<uuid:id>/trace/": ("pending.pk", {}),
    "api/batches/<uuid:id>/": ("running.pk", {}),
    "api/batches/<uuid:id>/progress/": ("running.pk", {}),
    "api/batches/<uuid:id>/pause/": ("running.pk", {}),
    "api/batches/<uuid:id>/resume/": ("paused.pk", {}),
    "api/batches/<uuid:id>/cancel/": ("running.pk", {}),
    "api/templates/<slug:name>/": ("template.name", {"PATCH": {"is_archived": True}}),
    "api/templates/<slug:name>/draft/": ("template.name", {"PUT": {"body": "mine now"}}),
    "api/templates/<slug:name>/publish/": ("template.name", {}),
    "api/templates/<slug:name>/versions/": ("template.name", {}),
    "api/templates/<slug:name>/preview/": ("template.name", {}),
    "api/suppressions/<uuid:id>/": ("suppression.pk", {}),
    "api/providers/<uuid:id>/": ("provider.pk", {"PATCH": {"is_enabled": False}}),
    "api/providers/<uuid:id>/test/": ("provider.pk", {"POST": {"recipient": "+8613812345678"}}),
    "api/providers/<uuid:id>/receipt-secret/": ("provider.pk", {}),
    "api/webhooks/<uuid:id>/": ("endpoint.pk", {"PATCH": {"max_events": 5}}),
    "api/webhooks/<uuid:id>/test/": ("endpoint.pk", {}),
    "api/webhooks/<uuid:id>/rotate-secret/": ("endpoint.pk", {}),
    "api/webhooks/<uuid:id>/enable/": ("endpoint.pk", {}),
    "api/webhooks/<uuid:id>/disable/": ("endpoint.pk", {}),
    "api/webhooks/<uuid:id>/replay/": ("endpoint.pk", {"POST": {"from_event": "evt_1"}}),
    "api/webhooks/<uuid:id>/deliveries/": ("endpoint.pk", {}),
    "api/webhooks/<uuid:id>/deliveries/<uuid:delivery>/replay/": ("endpoint.pk delivery.pk", {}),
    "api/breakers/<str:name>/": ("breaker", {}),
    "api/breakers/<str:name>/force/": ("breaker", {"POST": {"state": "open", "seconds": 1}}),
    ITEM: (ITS, {"PATCH": {"format": "text"}}),
    f"{ITEM}draft/": (ITS, {"PUT": {"content": "mine: now", "based_on": 0}}),
    f"{ITEM}validate/": (ITS, {"POST": {"content": "mine: now"}}),
    f"{ITEM}publish/": (ITS, {"POST": {"content": "mine: now"}}),
    f"{ITEM}rollback/": (ITS, {"POST": {"version": 1}}),
    f"{ITEM}releases/": (ITS, {}),
    f"{ITEM}releases/<int:number>/": (f"{ITS} item.current.number", {}),
    f"{ITEM}diff/": (ITS, {}),
    f"{ITEM}listeners/": (ITS, {}),
    f"{ITEM}gray/promote/": (ITS, {}),
    f"{ITEM}gray/abandon/": (ITS, {}),
    "api/config/namespaces/<str:namespace>/": ("empty_drawer", {}),
    **CUSTOMERS,
    **ASSIGNMENT,
    **LEVELS,
    **TICKETS,
    **FAQ,
    "api/intents/<slug:name>/": ("intent.name", {"PATCH": {"title": "mine"}}),
    "api/utterances/<uuid:id>/": ("utterance.pk", {"PATCH": {"held_out": True}}),
    "api/intent-models/<int:number>/": ("version.number", {}),
    "api/intent-models/<int:number>/activate/": ("version.number", {}),
    "api/intent-models/<int:number>/cancel/": ("training.number", {}),
    "api/conversations/<uuid:id>/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/lines/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/reply/": ("conversation.pk", {"POST": {"text": "mine"}}),
    "api/conversations/<uuid:id>/typing/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/read/": ("conversation.pk", {"POST": {"seq": 1}}),
    "api/conversations/<uuid:id>/resolve/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/intent/": ("conversation.pk", {"POST": {"intent": ""}}),
    "api/conversations/<uuid:id>/notes/": ("conversation.pk", {"POST": {"text": "mine"}}),
    "api/conversations/<uuid:id>/tags/": ("conversation.pk", {"POST": {"add": ["mine"]}}),
    "api/conversations/<uuid:id>/priority/": ("conversation.pk", {"POST": {"priority": 1}}),
    "api/conversations/<uuid:id>/snooze/": ("conversation.pk", {"POST": {"until": None}}),
    "api/conversations/<uuid:id>/close/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/spam/": ("conversation.pk", {}),
    "api/conversations/<uuid:id>/reopen/": ("desk.closed.pk", {}),
    "api/conversations/<uuid:id>/merge/": ("desk.second.pk", {"POST": {"into": INTO}}),
    "api/conversations/<uuid:id>/unmerge/": ("desk.merged.pk", {}),
    "api/attachments/<uuid:id>/": ("attachment.pk", {}),
    "api/arrivals/<uuid:id>/retry/": ("arrival.pk", {}),
    "api/conversations/<uuid:id>/reply-quota/": ("conversation.pk", {}),
    "api/entrances/<uuid:id>/": ("entrance.pk", {"PATCH": {"name": "mine"}}),
    "api/entrances/<uuid:id>/test/": ("entrance.pk", {}),
    "api/contact-ways/<uuid:id>/": ("way.pk", {"PATCH": {"tags": ["mine"]}}),
}


def with_parameters() -> list[Route]:
    elsewhere = (MODULES, ALARMS, JOBS)
    return [route for route in api_routes() if route.parameters and route.pattern not in SIGNED and not route.pattern.startswith(elsewhere)]


def path_of(route: Route, owner: Owned) -> str:
    path = f"/{route.pattern}"
    for parameter, place in zip(route.parameters, SAMPLES[route.pattern][0].split(), strict=True):
        value: Any = owner
        for part in place.split("."):
            value = getattr(value, part)
        path = re.sub(rf"<\w+:{parameter}>", str(value), path)
    return path


def snapshot(tenant: Tenant) -> list[str]:
    """Everything a tenant owns, as it is stored."""
    own = {"tenant": tenant}
    rows: list[Any] = [tenant]
    models: list[Any] = [ApiKey, Batch, Message, Provider, Suppression, Template, WebhookEndpoint, WebhookDelivery, AuditEntry]
    models += [Customer, Identity, CustomerAttribute, CustomerMerge, SafeLink]
    models += [SkillGroup, Agent, Conversation, Assignment]
    models += [BusinessCalendar, Clock]
    models += [Intent, Utterance, IntentModel]
    models += [TicketType, Ticket, Tag, Note]
    models += [Intent, Utterance, IntentModel, FaqEntry, BotTurn]
    models += [each for each in DESK if each not in models]
    for model in models:
        rows += model._default_manager.filter(**own).order_by("pk")
    rows += AgentSkill.objects.filter(agent__tenant=tenant).order_by("pk")
    rows += CalendarDay.objects.filter(calendar__tenant=tenant).order_by("pk")
    for part in (TicketEvent, TicketLink, TicketWatcher, ChecklistItem):
        rows += part._default_manager.filter(ticket__tenant=tenant).order_by("pk")
    rows += TemplateVersion.objects.filter(template__tenant=tenant).order_by("pk")
    rows += LinkClick.objects.filter(link__tenant=tenant).order_by("pk")
    rows += ConfigNamespace.objects.filter(**own).order_by("pk")
    rows += ConfigItem.objects.filter(namespace__tenant=tenant).order_by("pk")
    rows += ConfigRelease.objects.filter(item__namespace__tenant=tenant).order_by("pk")
    # Encrypted anew each time it is written out, so compared in clear.
    secrets = [str((row.config, row.receipt_secret)) for row in rows if isinstance(row, Provider)]
    secrets += [str((row.secret, row.previous_secret)) for row in rows if isinstance(row, WebhookEndpoint)]
    secrets += [str(row.secrets) for row in rows if isinstance(row, Entrance)]
    entries = serializers.serialize("python", rows)
    for entry in entries:
        for name in ("config", "receipt_secret", "secret", "previous_secret", "secrets"):
            entry["fields"].pop(name, None)
    return [str(entry) for entry in entries] + secrets


def test_every_address_with_a_parameter_has_a_sample_here() -> None:
    assert {route.pattern for route in with_parameters()} == set(SAMPLES)


def own_answers(made: Owned) -> Iterator[tuple[str, Route, Any]]:
    """Call every address with a parameter as the owner of what it names, each with everything as it was made."""
    api = make_api(made.tenant)
    for route in with_parameters():
        for method in methods_of(route):
            owner = copy.deepcopy(made)
            with undone():
                if route.pattern.endswith("publish/"):
                    api.put(f"/api/templates/{owner.template.name}/draft/", {"body": "second"})
                if "/gray/" in route.pattern:
                    gray = {"content": "of: some", "labels": ["zone=b"], "percent": 0}
                    releases.start_gray(item=owner.item, comment="A's own", by=actor("user:a"), **gray)  # type: ignore[arg-type]
                yield method, route, api.request(method, path_of(route, owner), SAMPLES[route.pattern][1].get(method, {}))


def test_the_samples_are_right_their_owner_is_let_in(acme: Owned) -> None:
    answers = own_answers(acme)
    assert {f"{method} {route}": answer.content for method, route, answer in answers if answer.status_code not in (200, 201, 204)} == {}


def test_another_tenants_key_finds_nothing_and_changes_nothing(acme: Owned) -> None:
    stranger = make_api(make_tenant("Other"))
    before = snapshot(acme.tenant)
    wrong = {}
    for route in with_parameters():
        for method in methods_of(route):
            answer = stranger.request(method, path_of(route, acme), SAMPLES[route.pattern][1].get(method, {}))
            if (answer.status_code, answer["Content-Type"]) != (404, "application/problem+json"):
                wrong[f"{method} {route}"] = answer.status_code
    assert wrong == {}
    assert snapshot(acme.tenant) == before


def test_another_tenants_lists_show_nothing_of_it(acme: Owned) -> None:
    stranger = make_api(make_tenant("Other"))
    for route in api_routes():
        if not route.parameters and "GET" in methods_of(route):
            text = stranger.get(route.path).getvalue().decode()
            assert [found for found in acme.identifiers() if found in text] == [], route


def test_the_lists_are_not_empty_for_their_owner(acme: Owned) -> None:
    api = make_api(acme.tenant)
    api.post("/api/events/", {})
    make_event(acme.tenant)
    for path in (
        "/api/messages/",
        "/api/batches/",
        "/api/templates/",
        "/api/providers/",
        "/api/suppressions/",
        "/api/webhooks/",
        "/api/events/",
        "/api/keys/",
        "/api/audit/",
        "/api/config/items/",
        "/api/config/namespaces/",
        "/api/customers/",
        "/api/customer-merges/",
        "/api/links/",
        "/api/satisfaction/",
        "/api/skill-groups/",
        "/api/agents/",
        "/api/queue/",
        "/api/intents/",
        "/api/utterances/",
        "/api/intent-models/",
        "/api/conversations/",
        "/api/arrivals/",
        "/api/entrances/",
        "/api/contact-ways/",
        "/api/tickets/",
        "/api/ticket-types/",
        "/api/tags/",
    ):
        found = json_of(api.get(path))["results"]
        assert found, path


@pytest.mark.parametrize(
    ("path", "name", "whose"),
    [
        ("/api/messages/", "batch", "running.pk"),
        ("/api/messages/", "provider", "provider.pk"),
        ("/api/messages/", "template", "template.name"),
        ("/api/messages/", "reference", "pending.reference"),
        ("/api/messages/", "recipient", "pending.recipient"),
        ("/api/batches/", "name", "running.name"),
        ("/api/audit/", "target", "entry.target"),
        ("/api/conversations/", "customer", "conversation.customer_id"),
        ("/api/conversations/", "entrance", "conversation.entrance_id"),
        ("/api/arrivals/", "entrance", "arrival.entrance_id"),
        ("/api/contact-ways/", "entrance", "way.entrance_id"),
        ("/api/config/items/", "namespace", "item.namespace.slug"),
        ("/api/config/items/", "group", "item.group"),
        ("/api/config/items/", "search", "item.data_id"),
        ("/api/customers/", "identity", "customers.identity.value"),
        ("/api/customers/", "name", "customers.customer.name"),
        ("/api/customer-merges/", "customer", "customers.customer.pk"),
        ("/api/links/", "customer", "customers.customer.pk"),
        ("/api/utterances/", "intent", "intent.name"),
        ("/api/utterances/", "search", "utterance.text"),
        ("/api/tickets/", "q", "tickets.ticket.subject"),
        ("/api/tickets/", "type", "tickets.type.name"),
        ("/api/tickets/", "tag", "tickets.tag.name"),
        ("/api/tickets/", "watcher", "tickets.watcher.pk"),
    ],
)
def test_filters_reach_no_further_than_ones_own_rows(path: str, name: str, whose: str, acme: Owned) -> None:
    value: Any = acme
    for part in whose.split("."):
        value = getattr(value, part)
    answer = make_api(make_tenant("Other")).get(path, **{name: str(value)})
    assert answer.status_code == 200
    assert json_of(answer)["results"] == []


def test_a_cursor_of_another_tenant_leads_to_ones_own_rows_only(acme: Owned) -> None:
    other = make_tenant("Other")
    mine = make_message(other)
    cursor = json_of(make_api(acme.tenant).get("/api/messages/", limit=1))["next"]
    found = json_of(make_api(other).get("/api/messages/", cursor=cursor))["results"]
    assert {row["id"] for row in found} <= {str(mine.pk)}


def test_another_tenants_template_cannot_be_used(acme: Owned) -> None:
    make_template(acme.tenant, name="free-words", variables=[], body="Nothing to fill in")
    stranger = make_api(make_tenant("Other"))
    message = {"channel": "sms", "recipient": "+8613812345678", "template": "free-words"}
    assert fields_of(stranger.post("/api/messages/", message)) == ["template"]
    batch = {"channel": "sms", "template": "free-words", "recipients": [{"recipient": "+8613812345678"}]}
    assert fields_of(stranger.post("/api/messages/batch", batch)) == ["template"]


def test_names_and_idempotency_keys_of_two_tenants_do_not_meet() -> None:
    first, second = (make_api(make_tenant(name)) for name in ("Acme", "Other"))
    body = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
    answers = [api.post("/api/messages/", body, headers={"Idempotency-Key": "the-same"}) for api in (first, second)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert json_of(answers[0])["id"] != json_of(answers[1])["id"]
    template = {"name": "welcome", "channel": "sms", "body": "Hi"}
    assert [api.post("/api/templates/", template).status_code for api in (first, second)] == [201, 201]
    provider = {"name": "gateway", "channel": "sms", "kind": "sandbox"}
    assert [api.post("/api/providers/", provider).status_code for api in (first, second)] == [201, 201]


def test_an_id_that_does_not_exist_and_one_of_another_tenant_are_answered_alike(acme: Owned) -> None:
    stranger = make_api(make_tenant("Other"))
    foreign = stranger.get(f"/api/messages/{acme.pending.pk}/")
    absent = stranger.get("/api/messages/0192f0c1-a2b3-7c4d-8e9f-001122334455/")
    assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content)


def test_without_a_key_there_is_nothing_either(acme: Owned) -> None:
    assert {Api().get(path_of(route, acme)).status_code for route in with_parameters()} == {401}
