"""Rows and callers for tests: small functions, each with defaults that make a valid thing."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, KeyKind, Tenant
from accounts.scopes import SCOPES
from accounts.services.api_keys import issue_api_key
from accounts.services.audit import Actor, ActorKind
from configcenter.hot import Applied, Handle
from messaging.content import editing, templates
from messaging.intake import accept
from messaging.models import (
    Batch,
    BatchStatus,
    DeliveryStatus,
    Event,
    Message,
    Provider,
    Status,
    Suppression,
    Template,
    TemplateVersion,
    WebhookDelivery,
    WebhookEndpoint,
)
from messaging.providers.editing import create_provider
from posthaste.lib.ids import first_id_at, new_id
from tests.patience import Patience

_numbers = itertools.count(1)

#: A recipient that each channel takes as it stands.
RECIPIENTS = {
    "sms": "+8613812345678",
    "email": "ada@example.com",
    "push": "device-token-0001",
    "wecom": "zhangsan",
    "webhook": "https://hooks.example.com/in",
    "chat": "room-7",
    "desk": "visitor-1",
}


#: Who calls a service in a test that does not care who does.
TESTER = Actor(ActorKind.USER, "tester")


def actor(name: str) -> Actor:
    """Read an actor as the audit trail writes it: `user:ada`."""
    kind, _colon, own = name.partition(":")
    return Actor(ActorKind(kind), own)


@contextmanager
def untraced() -> Iterator[Actor]:
    """Lend an actor whose entries are removed again: the trail of a test is about what the test does itself."""
    builder = Actor.system("builder")
    yield builder
    AuditEntry.objects.filter(actor=str(builder)).delete()


def make_tenant(name: str = "Acme", **fields: Any) -> Tenant:
    """Make a tenant; the short name is its own."""
    return Tenant.objects.create(name=name, **{"slug": f"{name.lower()}-{next(_numbers)}", **fields})


def make_key(tenant: Tenant, *scopes: str, kind: str = KeyKind.LIVE, **fields: Any) -> tuple[ApiKey, str]:
    """Issue a key, with every scope where none is named, and return it with its clear text."""
    with untraced() as by:
        return issue_api_key(tenant=tenant, name=fields.pop("name", "test"), scopes=scopes or tuple(SCOPES), kind=kind, by=by, **fields)


class CsvBody(bytes):
    """A body that goes as a CSV file."""

    content_type = "text/csv"


class Api:
    """Calls to the API through Django's test client, as JSON and with a key."""

    def __init__(self, key: str = "") -> None:
        self.key = key
        self.client = Client(raise_request_exception=False)

    def request(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None, **options: Any) -> Any:
        """Make one call; `body` goes as JSON, or as it is when it is bytes or a text."""
        sent = {**({"Authorization": f"Bearer {self.key}"} if self.key else {}), **(headers or {})}
        data = body if isinstance(body, bytes | str) else b"" if body is None else orjson.dumps(body)
        options = {"content_type": getattr(body, "content_type", "application/json"), **options}
        return self.client.generic(method, path, data, headers=sent, **options)

    def get(self, path: str, **query: Any) -> Any:
        return self.request("GET", path, query_params=query)

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("POST", path, body, **options)

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("PUT", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Any:
        return self.request("DELETE", path, **options)


def make_api(tenant: Tenant, *scopes: str, **fields: Any) -> Api:
    """Return calls with a new key of the tenant."""
    return Api(make_key(tenant, *scopes, **fields)[1])


def json_of(response: Any) -> Any:
    """Read an answer's body."""
    return orjson.loads(response.content)


def fields_of(response: Any) -> list[str]:
    """Name the fields that a 422 complains about, in order and each once."""
    assert response.status_code == 422, response.content
    return list(dict.fromkeys(error["field"] for error in json_of(response)["errors"]))


def make_provider(
    tenant: Tenant, *, channel: str = "sms", kind: str = "sandbox", config: dict[str, Any] | None = None, **fields: Any
) -> Provider:
    """Make an enabled provider."""
    provider = Provider(tenant=tenant, channel=channel, kind=kind, **{"name": f"provider {next(_numbers)}", **fields})
    with untraced() as by:
        return create_provider(provider=provider, config=config or {}, by=by)


def config_inputs(kind: str, **values: Any) -> dict[str, str]:
    """Return a provider's configuration as the inputs of its form: a mapping has a line for each pair, a shape an input for each field."""
    found: dict[str, str] = {}
    for name, value in values.items():
        place = f"configuration.{kind}.{name}"
        found[place] = "\n".join(f"{key}: {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)
    return found


def make_template(
    tenant: Tenant,
    *,
    name: str = "",
    channel: str = "sms",
    body: str = "Your code is {{ code }}.",
    subject: str = "",
    html: str = "",
    variables: list[dict[str, Any]] | None = None,
    publish: bool = True,
) -> Template:
    """Make a template with its first version, published unless told otherwise."""
    template = Template(tenant=tenant, name=name or f"template-{next(_numbers)}", channel=channel)
    subject = subject or ("About your order" if channel == "email" else "")
    declared = [{"name": "code", "required": True, "example": "1234"}] if variables is None else variables
    wording = {"subject": subject, "body": body, "html": html, "variables": declared}
    with untraced() as by:
        editing.create_template(template=template, wording=wording, publish=publish, by=by)
    templates.template_cache.forget()
    return template


def published(template: Template) -> TemplateVersion:
    """Return the published version of a template."""
    return template.versions.get(state=TemplateVersion.State.PUBLISHED)


def make_message(
    tenant: Tenant, *, status: str = Status.PENDING, channel: str = "sms", at: datetime | None = None, **fields: Any
) -> Message:
    """Make a message in a state, with the times that go with it; `at` is when it was accepted."""
    now = at or timezone.now()
    made: dict[str, Any] = {
        "id": new_id() if at is None else UUID(int=first_id_at(at).int + next(_numbers)),
        "recipient": RECIPIENTS[channel],
        "body": "Hello",
        "created_at": now,
        "due_at": now,
    }
    if status != Status.PENDING:
        made["queued_at"] = now
    if status in (Status.SENDING, Status.UNKNOWN):
        made |= {"claim": new_id(), "claimed_at": now, "attempts": 1}
    if status == Status.SENDING:
        made["lease_until"] = now + timedelta(seconds=30)
    if status in (Status.SENT, Status.DELIVERED):
        made |= {"claimed_at": now, "attempts": 1, "sent_at": now, "finished_at": now, "latency_ms": 100}
    if status in (Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.UNKNOWN):
        made["finished_at"] = now
    if status == Status.FAILED:
        made |= {"attempts": 4, "error_code": "http_500", "error_detail": "HTTP 500"}
    return Message.objects.create(tenant=tenant, status=status, channel=channel, **{**made, **fields})


def make_suppression(tenant: Tenant, recipient: str = RECIPIENTS["email"], **fields: Any) -> Suppression:
    """Put a recipient on the tenant's suppression list."""
    return Suppression.objects.create(tenant=tenant, recipient=recipient, **{"created_at": timezone.now(), **fields})


def make_endpoint(tenant: Tenant, **fields: Any) -> WebhookEndpoint:
    """Make an enabled webhook endpoint whose URL nothing listens at."""
    made = {"name": f"endpoint {next(_numbers)}", "url": "http://127.0.0.1:9/hook", **fields}
    return WebhookEndpoint.objects.create(tenant=tenant, **made)


def make_event(tenant: Tenant, type: str = "message.sent", **fields: Any) -> Event:
    """Make an event that has its position, as readers of the stream see it."""
    made = {"subject_id": new_id(), "channel": "sms", "occurred_at": timezone.now(), **fields}
    return Event.objects.create(tenant=tenant, type=type, **made)


def make_delivery(endpoint: WebhookEndpoint, **fields: Any) -> WebhookDelivery:
    """Make an entry of the delivery log, of one event unless positions are given."""
    if "from_position" not in fields:
        position = make_event(endpoint.tenant).position
        fields = {"from_position": position, "until_position": position, "events": 1, **fields}
    if fields["from_position"]:
        fields = {"positions": f"{fields['from_position']}-{fields['until_position']}", **fields}
    made = {
        "tenant": endpoint.tenant,
        "webhook_id": f"whk_{new_id().hex}",
        "status": DeliveryStatus.DELIVERED,
        "http_status": 200,
        "duration_ms": 12,
        "at": timezone.now(),
    }
    return WebhookDelivery.objects.create(endpoint=endpoint, **{**made, **fields})


def make_batch(tenant: Tenant, *, status: str = BatchStatus.RUNNING, channel: str = "sms", **counts: int) -> Batch:
    """Make a batch with so many messages in each state: `make_batch(tenant, sent=3, pending=2)`."""
    batch = Batch.objects.create(
        tenant=tenant, name="Spring sale", channel=channel, status=status, accepted=sum(counts.values()), created_at=timezone.now()
    )
    for state, number in counts.items():
        for _ in range(number):
            make_message(tenant, status=state, channel=channel, batch=batch)
    return batch


def configure(handle: Handle[Any], **changes: Any) -> None:
    """Put values in force in this process until the test is over, even such as can't be published."""
    handle.swap(Applied(handle.value.model_copy(update=changes)))


def close_committer() -> None:
    """Make accept's writer thread let its connection go: a test's database can't be emptied or dropped before."""
    accept.committer.close()


def poll(condition: Callable[[], Any], *, seconds: float = 60.0, what: str = "") -> Any:
    """Ask until the answer is true and return it; fail after `seconds`, which a test that passes never needs on any machine."""
    patience = Patience(seconds)
    while not (answer := condition()):
        assert not patience.is_over(), f"not within {seconds} s: {what or condition}"
        time.sleep(0.01)
    return answer
