"""A customer of the running product: a tenant of its own, its provider, and what it sees over the API."""

import base64
import hashlib
import hmac
import itertools
import json
import time
from typing import Any
from uuid import uuid4

from kombu.connection import Connection

from tests.integration.stack import Http, Stack
from tests.integration.waiting import poll
from tests.peers.gateway import Gateway

IN_PROGRESS = {"pending", "queued", "sending"}
COMMAND_SECONDS = 300.0  # long, for a busy machine
_numbers = itertools.count(10_000_000)


_keys: dict[int, list[str]] = {}
NEW_TENANTS = """
from accounts.models import Tenant
from accounts.scopes import SCOPES
from accounts.services.api_keys import issue_api_key
from accounts.services.audit import Actor
for n in range(%d):
    tenant = Tenant.objects.create(name="customer", slug="%s-" + str(n))
    print(issue_api_key(tenant=tenant, name="test", scopes=list(SCOPES), by=Actor.system("test"))[1])
"""


def new_key(stack: Stack) -> str:
    """Return the key of a new tenant; they are made in dozens."""
    keys = _keys.setdefault(id(stack), [])
    if not keys:
        code = NEW_TENANTS % (24, uuid4().hex[:12])
        status, made, complaint = run(stack, code)
        assert not status, complaint
        keys += made.split()
    return keys.pop()


WHAT_WAITS = """
from django.db.models import Count, Max, Min
from messaging.models import IN_PROGRESS, Message
names = "tenant_id", "batch_id", "batch__status", "channel", "priority", "status", "attempts", "error_code"
rows = Message.objects.filter(status__in=IN_PROGRESS).order_by().values(*names)
for row in rows.annotate(n=Count("pk"), since=Min("due_at"), until=Max("due_at"), queued=Min("queued_at"), lease=Min("lease_until"))[:50]:
    print({name: str(value) for name, value in row.items() if value not in (None, "")})
"""


FORGOTTEN = """
from django.db.models import Count
from messaging.models import IN_PROGRESS, BatchStatus, Message
rows = Message.objects.filter(status__in=IN_PROGRESS, batch__finished_at__isnull=False).order_by()
for row in rows.values("batch_id", "batch__status", "status", "error_code").annotate(n=Count("pk")):
    print(row)
"""


def what_waits(stack: Stack) -> str:
    """Return what is in progress, of all customers: for the reason of a failure."""
    return asked(stack, WHAT_WAITS)


def forgotten(stack: Stack) -> str:
    """Return what is in progress in batches that have ended, where no feeder will ever look; empty: nothing."""
    return asked(stack, FORGOTTEN)


def asked(stack: Stack, code: str) -> str:
    """Return what a program of the installation prints."""
    status, said, complaint = run(stack, code)
    return said + (complaint if status else "")


def run(stack: Stack, code: str) -> tuple[int, str, str]:
    """Run a program of the installation and return its exit status and what it printed, to its output and as errors."""
    out, err = (stack.folder / f"program-{uuid4().hex}.{end}" for end in ("out", "err"))
    status = stack.preloaded().start(out, err, program=code).wait(COMMAND_SECONDS)
    return status, out.read_text(), err.read_text()


class Customer:
    """One tenant and its live key."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.http = Http(stack.base_url, new_key(stack))

    def provider(self, channel: str, kind: str, config: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Make a provider and return it, with its receipt secret."""
        body = {"name": f"{kind}-{uuid4().hex[:6]}", "channel": channel, "kind": kind, "config": config, **fields}
        made = self.http.post("/api/providers/", body)
        assert made.status == 201, made.data
        answer: dict[str, Any] = made.json()
        return answer

    def webhook(self, url: str, **fields: Any) -> dict[str, Any]:
        """Make a webhook endpoint and return it, with its secret."""
        made = self.http.post("/api/webhooks/", {"name": f"hook-{uuid4().hex[:6]}", "url": url, **fields})
        assert made.status == 201, made.data
        answer: dict[str, Any] = made.json()
        return answer

    def gateway(
        self, gateway: Gateway, *, bulk: bool = False, channel: str = "sms", config: dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Make a provider that speaks to a test gateway."""
        settings: dict[str, Any] = {"url": gateway.url, "message_id_path": "id", "timeout_seconds": 3, **(config or {})}
        if bulk:
            settings["bulk"] = {
                "url": gateway.bulk_url,
                "results_path": "results",
                "status_field": "status",
                "message_id_field": "message_id",
            }
        return self.provider(channel, "http", settings, **fields)

    def send(self, **fields: Any) -> str:
        """Hand over one text and return its id."""
        answer = self.http.post("/api/messages/", {"channel": "sms", "recipient": number(), "body": "hello", **fields})
        assert answer.status == 202, answer.data
        return str(answer.json()["id"])

    def send_batch(self, count: int, **fields: Any) -> str:
        """Hand over a batch of texts and return its id."""
        recipients = [{"recipient": number()} for _ in range(count)]
        answer = self.http.post("/api/messages/batch", {"channel": "sms", "body": "hello", "recipients": recipients, **fields})
        assert answer.status == 202, answer.data
        assert answer.json()["accepted"] == count
        return str(answer.json()["batch_id"])

    def message(self, message_id: str) -> dict[str, Any]:
        """Return one message."""
        answer: dict[str, Any] = self.http.get(f"/api/messages/{message_id}/").json()
        return answer

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return one batch, having checked that its totals are right."""
        answer: dict[str, Any] = self.http.get(f"/api/batches/{batch_id}/").json()
        assert sum(answer["counts"].values()) == answer["accepted"] == answer["in_progress"] + answer["ended"], answer
        return answer

    def settled(self, message_id: str) -> dict[str, Any]:
        """Wait until the message is no longer in progress and return it."""
        poll(
            lambda: self.message(message_id)["status"] not in IN_PROGRESS,
            progress=lambda: (self.message(message_id), self.in_progress()),
            reason=lambda: f"not settled: {self.message(message_id)}",
        )
        return self.message(message_id)

    def finished(self, batch_id: str) -> dict[str, Any]:
        """Wait until the batch is finished and return it."""
        poll(
            lambda: self.batch(batch_id)["status"] == "finished",
            progress=lambda: self.batch(batch_id)["counts"],
            every=0.2,
            reason=lambda: f"not finished: {self.batch(batch_id)}",
        )
        return self.batch(batch_id)

    def all_settled(self) -> None:
        """Wait until none of the customer's messages is in progress."""
        poll(lambda: self.in_progress() == 0, progress=self.in_progress, every=0.2, reason="messages are still in progress")

    def cancel_all(self) -> None:
        """Cancel what has not been handed to a provider yet: batches as a whole, and single messages."""
        for batch in self.http.get("/api/batches/", status="running").json()["results"]:
            self.http.post(f"/api/batches/{batch['id']}/cancel/")
        for row in self.rows(status="pending"):
            self.http.post(f"/api/messages/{row['id']}/cancel/")

    def rows(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the customer's messages, page by page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.http.get("/api/messages/", limit=200, **filters, **({"cursor": cursor} if cursor else {})).json()
            found += page["results"]
            cursor = page["next"]
            if not cursor:
                return found

    def in_progress(self) -> int:
        """Count what is pending, queued or sending, in one look: messages move both ways between these."""
        return int(self.http.get("/api/messages/statistics/overview").json()["today"]["in_progress"])

    def ids(self, batch_id: str, **filters: Any) -> set[str]:
        """Return the ids (hex) of a batch's messages."""
        return {row["trace_id"] for row in self.rows(batch=batch_id, **filters)}

    def receipt(self, provider: dict[str, Any], receipts: list[dict[str, Any]], *, at: float | None = None) -> tuple[int, dict[str, Any]]:
        """Post signed receipts as the provider would, and give status and answer."""
        body = json.dumps({"receipts": receipts}).encode()
        identifier, stamp = f"msg_{uuid4().hex}", str(int(at or time.time()))
        secret = base64.b64decode(provider["receipt_secret"].removeprefix("whsec_"))
        mac = hmac.new(secret, b".".join((identifier.encode(), stamp.encode(), body)), hashlib.sha256).digest()
        answer = self.http.pool.request(
            "POST",
            f"{self.http.base_url}{provider['receipt_path']}",
            body=body,
            headers={
                "Content-Type": "application/json",
                "webhook-id": identifier,
                "webhook-timestamp": stamp,
                "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
            },
        )
        return answer.status, answer.json()


def number() -> str:
    """Return a phone number never used before."""
    return f"+86138{next(_numbers):08d}"


def empty_queue(stack: Stack, name: str) -> int:
    """Throw away what stands in a queue of the broker, as an operator's mistake would, and return the number."""
    url = stack.environment["BROKER_URL"]
    options = (
        {}
        if url.startswith("amqp")
        else {"global_keyprefix": f"{stack.environment['REDIS_PREFIX']}:broker:", "priority_steps": list(range(10))}
    )
    with Connection(url, transport_options=options) as connection:
        return int(connection.default_channel.queue_purge(name) or 0)
