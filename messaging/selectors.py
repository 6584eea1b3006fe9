"""Reading messages and batches; every list is of one tenant."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery

from accounts.tenancy import owned_by
from messaging.channels.recipients import written_forms
from messaging.models import (
    IN_PROGRESS,
    Batch,
    BatchStatus,
    DeliveryKind,
    DisabledCode,
    Message,
    Provider,
    Status,
    Suppression,
    Template,
    WebhookDelivery,
    WebhookEndpoint,
)
from messaging.storage import tallies, unreadable
from messaging.storage.unreadable import readable
from posthaste.lib.ids import first_id_at
from tracing import w3c

CLOCKS_DIFFER_SECONDS = 5  # of the processes that write the entries and the traces, at most


def messages(tenant_id: int) -> "QuerySet[Message]":
    """Return the tenant's messages, newest first."""
    return readable(owned_by(Message.objects.select_related("template_version__template", "provider"), tenant_id))


def outcomes(ids: Iterable[UUID]) -> dict[UUID, tuple[str, str]]:
    """Return state and error code of messages by id; those that are not there are left out."""
    rows = Message.objects.filter(pk__in=list(ids)).order_by().values_list("pk", "status", "error_code")
    return {pk: (status, code) for pk, status, code in rows}


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a message is, since when, and what went wrong: a code, and what happened in English."""

    status: str
    at: datetime
    error: str
    detail: str


def deliveries(ids: Iterable[UUID]) -> dict[UUID, Delivery]:
    """Return how far messages are, by id, in one query; those that are not there are left out."""
    wanted = list(ids)
    rows = Message.objects.filter(pk__in=wanted).order_by() if wanted else Message.objects.none()
    fields = ("pk", "status", "error_code", "error_detail", "finished_at", "sent_at", "queued_at", "created_at")
    found = rows.values_list(*fields)
    return {pk: Delivery(status, next(at for at in times if at is not None), code, detail) for pk, status, code, detail, *times in found}


def batches(tenant_id: int) -> "QuerySet[Batch]":
    """Return the tenant's batches, newest first."""
    return readable(owned_by(Batch.objects.select_related("template_version__template"), tenant_id))


def suppressions(tenant_id: int) -> "QuerySet[Suppression]":
    """Return the tenant's suppression list, newest first."""
    return readable(owned_by(Suppression.objects.all(), tenant_id))


def templates(tenant_id: int) -> "QuerySet[Template]":
    """Return the tenant's templates by name."""
    return owned_by(Template.objects.all(), tenant_id)


def providers(tenant_id: int) -> "QuerySet[Provider]":
    """Return the tenant's providers by channel."""
    return owned_by(Provider.objects.all(), tenant_id)


def webhook_endpoints(tenant_id: int) -> "QuerySet[WebhookEndpoint]":
    """Return the tenant's webhook endpoints by name."""
    return owned_by(WebhookEndpoint.objects.all(), tenant_id)


def webhook_deliveries(endpoint: WebhookEndpoint) -> "QuerySet[WebhookDelivery]":
    """Return the calls of an endpoint, newest first."""
    return owned_by(WebhookDelivery.objects.filter(endpoint=endpoint), endpoint.tenant_id)


def failed_endpoints(tenant_id: int | None, *, limit: int) -> list[WebhookEndpoint]:
    """Return the endpoints that were disabled automatically, the latest first; of all tenants for None."""
    rows = WebhookEndpoint.objects.filter(is_enabled=False).exclude(disabled_code__in=["", DisabledCode.MANUAL]).order_by("-disabled_at")
    rows = rows.select_related("tenant").defer("secret", "previous_secret")
    return list((rows if tenant_id is None else owned_by(rows, tenant_id))[:limit])


def latest_deliveries(endpoints: Iterable[WebhookEndpoint]) -> dict[UUID, WebhookDelivery]:
    """Return the last call of each endpoint that had one, in one query."""
    last = WebhookDelivery.objects.filter(endpoint=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    ids = WebhookEndpoint.objects.filter(pk__in=[endpoint.pk for endpoint in endpoints]).order_by().values_list(Subquery(last), flat=True)
    return {delivery.endpoint_id: delivery for delivery in WebhookDelivery.objects.filter(pk__in=[pk for pk in ids if pk])}


def in_states(states: Iterable[str]) -> Q:
    """Return the condition for some states, in the words of the indexes that are for them (see `Message.Meta`)."""
    wanted, said = set(states), Q(pk__in=[])
    if Status.PENDING in wanted:
        said |= Q(status=Status.PENDING, due_at__isnull=False)
    if Status.QUEUED in wanted:
        said |= Q(status=Status.QUEUED, queued_at__isnull=False)
    if Status.SENDING in wanted:
        said |= Q(status=Status.SENDING)
    rest = sorted(wanted - set(IN_PROGRESS))
    return said | Q(status__in=rest) if rest else said


def batch_counts(batches: Iterable[Batch]) -> dict[UUID, dict[str, int]]:
    """Count the messages of several batches by state, in one query; every state is there.

    What waits in a cancelled batch is never sent any more and counts as cancelled, although it may be some seconds until each row
    says so itself (see `services.batches`).
    """
    states = {batch.pk: batch.status for batch in batches}
    counts = {batch_id: dict.fromkeys(Status.values, 0) for batch_id in states}
    for batch_id, status, number in tallies.by_batch(states):
        waits_in_vain = status == Status.PENDING and states[batch_id] == BatchStatus.CANCELLED
        known = status if status in Status.values else Status.FAILED  # a state that is none: its row is set aside when it is read
        counts[batch_id][Status.CANCELLED if waits_in_vain else known] += number
    return counts


def open_batches(tenant_id: int | None, *, limit: int) -> list[Batch]:
    """Return the newest batches that are running or paused, each with its summary as `totals`; of all tenants for None."""
    rows = Batch.objects.filter(status__in=[BatchStatus.RUNNING, BatchStatus.PAUSED]).order_by("-id")
    found = list(readable(rows if tenant_id is None else owned_by(rows, tenant_id))[:limit])
    counts = batch_counts(found)
    for batch in found:
        batch.totals = batch_summary(batch, counts[batch.pk])  # type: ignore[attr-defined]
    return found


def batch_summary(batch: Batch, counts: dict[str, int]) -> dict[str, Any]:
    """Return the totals of a batch: accepted = in progress + ended, exactly."""
    in_progress = sum(counts[status] for status in IN_PROGRESS)
    ended = sum(counts.values()) - in_progress
    return {
        "counts": counts,
        "in_progress": in_progress,
        "ended": ended,
        "progress_percent": round(100.0 * ended / batch.accepted, 1) if batch.accepted else 100.0,
    }


def delivery_by_trace(*, tenant_id: int, endpoint_name: str, at: datetime) -> UUID | None:
    """Return the request to an endpoint that a trace tells of, by the time of its line: an endpoint has one request at a time.

    A trace keeps the first 40 characters of a name. None where the request is not kept, or the endpoint was renamed.
    """
    rows = WebhookDelivery.objects.filter(
        endpoint__in=WebhookEndpoint.objects.filter(tenant_id=tenant_id, name__startswith=endpoint_name).order_by(),
        kind=DeliveryKind.EVENTS,
        id__gte=first_id_at(at - timedelta(seconds=CLOCKS_DIFFER_SECONDS)),
        id__lt=first_id_at(at + timedelta(seconds=CLOCKS_DIFFER_SECONDS)),
        at__lte=at,
    )
    return rows.order_by("-id").values_list("pk", flat=True).first()


# --- what operators look for -------------------------------------------------------------------------------------

DEAD = (Status.FAILED, Status.UNKNOWN)
SET_ASIDE = unreadable.CODE  # the error of messages whose row could not be read
RECENT_FAILURES = 5_000  # are counted by code at most
DEAD_LETTERS = 10_000  # the newest ones are grouped by reason


def as_id(text: str) -> UUID | None:
    """Read a message id, trace id or batch id, or the trace id of a traceparent; return None for anything else."""
    text = text.strip()
    if parent := w3c.link_of(text):
        return UUID(int=parent[0])
    try:
        return UUID(text)
    except ValueError:
        return None


def find_messages(tenant_ids: Collection[int], *, term: str, limit: int) -> list[Message]:
    """Return the newest messages with this id or batch id, or exactly this recipient or reference."""
    rows = Message.objects.filter(tenant_id__in=tenant_ids).defer("body", "variables", "metadata").order_by("-id")
    identifier = as_id(term)
    if identifier is not None:
        return list(readable(rows.filter(pk=identifier))[:limit])
    written = {term.lower(), *written_forms(term)}
    # Two questions: each has an index of its own.
    found = {row.pk: row for row in readable(rows.filter(recipient__in=written))[:limit]}
    found |= {row.pk: row for row in readable(rows.filter(reference=term).exclude(reference=""))[:limit]}
    return [found[key] for key in sorted(found, reverse=True)][:limit]


def find_batches(tenant_ids: Collection[int], *, term: str, limit: int) -> list[Batch]:
    """Return the newest batches with this id, or whose name starts with the term."""
    rows = Batch.objects.filter(tenant_id__in=tenant_ids).order_by("-id")
    identifier = as_id(term)
    return list(readable(rows.filter(pk=identifier) if identifier else rows.filter(name__istartswith=term))[:limit])


def recent_failures(tenant_ids: Collection[int], *, since: datetime) -> list[tuple[str, int, datetime]]:
    """Return the error codes of the messages that failed since then, or whose outcome became unknown: code, number, the first time.

    Messages that were accepted more than a day before are left out; of more than `RECENT_FAILURES` the newest are counted.
    """
    ended = Q(finished_at__gte=since) | Q(status=Status.UNKNOWN, claimed_at__gte=since)
    rows = Message.objects.filter(ended, in_states(DEAD), tenant_id__in=tenant_ids, pk__gte=first_id_at(since - timedelta(days=1)))
    numbers: Counter[str] = Counter()
    began: dict[str, datetime] = {}
    for code, finished_at, claimed_at in rows.order_by("-id").values_list("error_code", "finished_at", "claimed_at")[:RECENT_FAILURES]:
        at = finished_at or claimed_at or since
        numbers[code] += 1
        began[code] = min(began.get(code, at), at)
    return [(code, number, began[code]) for code, number in numbers.most_common()]


@dataclass(slots=True)
class Reason:
    """Dead letters that ended for the same reason; `oldest` and `newest` are the times at which they were accepted.

    `sample` is the id of the newest one, `detail` what happened to it.
    """

    code: str
    status: str
    number: int
    channels: set[str]
    oldest: datetime
    newest: datetime
    sample: UUID
    detail: str = ""


def dead_letters_by_reason(tenant_ids: Collection[int]) -> list[Reason]:
    """Group the newest `DEAD_LETTERS` dead letters by their error and outcome, the largest group first."""
    rows = Message.objects.filter(in_states(DEAD), tenant_id__in=tenant_ids).order_by("-id")
    groups: dict[tuple[str, str], Reason] = {}
    for pk, code, status, channel, at in rows.values_list("pk", "error_code", "status", "channel", "created_at")[:DEAD_LETTERS]:
        group = groups.setdefault((code, status), Reason(code, status, 0, set(), at, at, pk))
        group.number += 1
        group.channels.add(channel)
        group.oldest, group.newest = min(group.oldest, at), max(group.newest, at)
    samples = [group.sample for group in groups.values()]
    details = dict(Message.objects.filter(pk__in=samples).order_by().values_list("pk", "error_detail"))
    for group in groups.values():
        group.detail = details.get(group.sample, "")
    return sorted(groups.values(), key=lambda group: -group.number)


def dead_letter_ids(tenant_ids: Collection[int], *, code: str, status: str, limit: int) -> list[UUID]:
    """Return the ids of the newest dead letters with this error and outcome."""
    rows = Message.objects.filter(in_states([status]), tenant_id__in=tenant_ids, error_code=code).order_by("-id")
    return list(rows.values_list("pk", flat=True)[:limit])


def paused_batches(tenant_ids: Collection[int]) -> tuple[int, datetime | None, UUID | None]:
    """Return how many batches are paused, when the oldest of them was accepted, and its id."""
    rows = Batch.objects.filter(status=BatchStatus.PAUSED, tenant_id__in=tenant_ids).order_by("id")
    found = list(rows.values_list("created_at", "pk")[:1_000])
    return (len(found), *found[0]) if found else (0, None, None)


def set_aside(tenant_ids: Collection[int], *, since: datetime) -> list[datetime]:
    """Return when the messages were accepted that ended as unreadable since then, the latest first, a thousand at most."""
    rows = Message.objects.filter(in_states(DEAD), tenant_id__in=tenant_ids, pk__gte=first_id_at(since), error_code=unreadable.CODE)
    return list(rows.order_by("-id").values_list("created_at", flat=True)[:1_000])
