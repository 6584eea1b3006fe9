"""Check, store, delete and test the endpoints that events are sent to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, Value, When
from django.utils.translation import gettext as _

from accounts.services import audit
from accounts.services.audit import Actor
from messaging.actions import Action
from messaging.channels import registry
from messaging.configuration import webhooks
from messaging.models import DeliveryKind, DeliveryStatus, DisabledCode, EventRecording, WebhookEndpoint
from messaging.models.provider import new_receipt_secret
from messaging.models.webhook import MAX_EVENTS
from messaging.webhooks import event_types, events, request
from posthaste.lib import http
from posthaste.lib.control_characters import find_control
from posthaste.lib.crypto import is_lost
from posthaste.lib.guard import is_numeric
from posthaste.lib.outgoing_calls import outgoing_calls
from posthaste.lib.problems import Conflict, Invalid
from posthaste.lib.rows import lock
from posthaste.lib.visible_text import is_visible

KEEP_OLD_SECRET = timedelta(hours=24)
MAX_KEEP_OLD_SECRET = timedelta(days=7)
MAX_URL_CHARACTERS = 2048
MAX_PATTERNS = 50
LOOKUP_SECONDS = 3.0
#: What `update` changes; the rest belongs to the sender, or has a service of its own.
EDITABLE = ("name", "url", "event_types", "channels", "max_events", "includes_sandbox")

#: What enabling and disabling change.
STATE = [
    "is_enabled", "disabled_at", "disabled_code", "disabled_figures", "failing_since", "failures", "inflight_since", "next_attempt_at",
    "updated_at",
]  # fmt: skip

NO_FIGURES: Mapping[str, Any] = {}


def create(*, endpoint: WebhookEndpoint, by: Actor, now: datetime) -> WebhookEndpoint:
    """Check and store a new endpoint. It receives what happens from now on; its secret is in `endpoint.secret`.

    Raises:
        Invalid: a field is wrong, or the name is taken.
        Conflict: the tenant has as many endpoints as it may.
    """
    check(endpoint)  # before the transaction: a lookup of the host may take seconds, and SQLite has one writer
    return _store_new(endpoint, by, now)


@transaction.atomic
def _store_new(endpoint: WebhookEndpoint, by: Actor, now: datetime) -> WebhookEndpoint:
    events.start_recording(endpoint.tenant_id)
    # Locked, so that two who create endpoints at the same time are counted one after the other.
    EventRecording.objects.select_for_update().get(tenant_id=endpoint.tenant_id)
    _must_be_free(endpoint)
    most = webhooks.of(endpoint.tenant_id).max_endpoints
    if WebhookEndpoint.objects.filter(tenant_id=endpoint.tenant_id).count() >= most:
        raise Conflict(_("There are {n} endpoints already, and no more are allowed.").format(n=most), max_endpoints=most)
    endpoint.cursor = events.last_position()
    endpoint.next_attempt_at = now
    endpoint.save(force_insert=True)
    _record(endpoint, Action.WEBHOOK_CREATE, by, name=endpoint.name)
    return endpoint


def update(*, endpoint: WebhookEndpoint, fields: Iterable[str], by: Actor, now: datetime) -> WebhookEndpoint:
    """Check and store a changed endpoint; `fields` are the names of those that changed, of `EDITABLE`.

    A new URL is tried at once. A request that is being repeated keeps its webhook-id as long as it carries the same events.

    Raises:
        Invalid: a field is wrong, or the name is taken.
        NotFound: it was deleted meanwhile.
        ValueError: a field is none of `EDITABLE`.
    """
    changed = sorted(set(fields))
    if wrong := set(changed) - set(EDITABLE):
        raise ValueError(f"Not to be changed here: {', '.join(sorted(wrong))}")
    check(endpoint)
    of_url = ["next_attempt_at", "max_body_bytes", "max_body_until"] if "url" in changed else []
    if of_url:
        endpoint.next_attempt_at, endpoint.max_body_bytes, endpoint.max_body_until = now, None, None
    with transaction.atomic():
        EventRecording.objects.select_for_update().filter(tenant_id=endpoint.tenant_id).first()
        lock(endpoint)
        _must_be_free(endpoint)
        endpoint.save(update_fields=[*changed, *of_url, "updated_at"])
        _record(endpoint, Action.WEBHOOK_CHANGE, by, fields=changed)
    return endpoint


@transaction.atomic
def delete(*, endpoint: WebhookEndpoint, by: Actor) -> None:
    """Remove an endpoint with its log. What was not delivered is not sent any more.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(endpoint)
    _record(endpoint, Action.WEBHOOK_DELETE, by, name=endpoint.name)
    endpoint.delete()


@transaction.atomic
def rotate_secret(*, endpoint: WebhookEndpoint, by: Actor, now: datetime, keep_old_for: timedelta = KEEP_OLD_SECRET) -> str:
    """Replace the secret and return the new one. Until `keep_old_for` has passed, requests are signed with both.

    Raises:
        Conflict: the secret before is still valid, and would have to end now for the old one to be kept.
        Invalid: `keep_old_for` is negative or longer than seven days.
        NotFound: it was deleted meanwhile.
    """
    if not timedelta(0) <= keep_old_for <= MAX_KEEP_OLD_SECRET:
        raise Invalid.field("keep_old_for_seconds", _("Between 0 and {n}.").format(n=int(MAX_KEEP_OLD_SECRET.total_seconds())))
    # Read under the lock: of two rotations at once, neither answers with a secret that does not count.
    lock(endpoint)
    current = WebhookEndpoint.objects.get(pk=endpoint.pk)
    if is_lost(current, "secret"):
        keep_old_for = timedelta(0)  # no request was signed with it
    if keep_old_for and current.previous_secret_until and current.previous_secret_until > now:
        # Requests carry two signatures at most, and this secret was promised to be one of them until then.
        raise Conflict(
            _(
                "The previous secret is valid until {time}. Wait until then, or keep no old secret (0 seconds): both then end at once."
            ).format(time=current.previous_secret_until.isoformat(timespec="seconds")),
            previous_secret_until=current.previous_secret_until.isoformat(),
        )
    endpoint.previous_secret = current.secret if keep_old_for else ""
    endpoint.previous_secret_until = now + keep_old_for if keep_old_for else None
    secret: str = new_receipt_secret()
    endpoint.secret = secret
    endpoint.save(update_fields=["secret", "previous_secret", "previous_secret_until", "updated_at"])
    _record(endpoint, Action.WEBHOOK_ROTATE_SECRET, by, keep_old_for_seconds=int(keep_old_for.total_seconds()))
    return secret


@transaction.atomic
def enable(*, endpoint: WebhookEndpoint, by: Actor, now: datetime) -> None:
    """Send events again, from the first that was not delivered and is still kept.

    A failing endpoint is tried now, and goes on to count as failing until a request succeeds. Nothing happens if all is well.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(endpoint)
    row = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if row.filter(is_enabled=True, failing_since__isnull=False).update(next_attempt_at=now):
        _record(endpoint, Action.WEBHOOK_ENABLE, by, tried_now=True)
        endpoint.refresh_from_db(fields=STATE)
        return
    if not row.filter(is_enabled=False).update(
        is_enabled=True,
        disabled_at=None,
        disabled_code="",
        disabled_figures={},
        failing_since=None,
        failures=0,
        inflight_since=Case(When(inflight_since__isnull=False, then=Value(now))),  # it is not given up for the time it was disabled
        next_attempt_at=now,
        updated_at=now,
    ):
        return
    _record(endpoint, Action.WEBHOOK_ENABLE, by)
    endpoint.refresh_from_db(fields=STATE)


@transaction.atomic
def disable(
    *,
    endpoint: WebhookEndpoint,
    by: Actor,
    now: datetime,
    code: DisabledCode = DisabledCode.MANUAL,
    figures: Mapping[str, Any] = NO_FIGURES,
) -> None:
    """Send no events until it is enabled again. Nothing happens if it is disabled.

    `figures` are those that the label of the code names.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    lock(endpoint)
    if not WebhookEndpoint.objects.filter(pk=endpoint.pk, is_enabled=True).update(
        is_enabled=False, disabled_at=now, disabled_code=code, disabled_figures=dict(figures), updated_at=now
    ):
        return
    _record(endpoint, Action.WEBHOOK_DISABLE, by, code=code.value, **figures)
    endpoint.refresh_from_db(fields=STATE)


@dataclass(frozen=True, slots=True)
class TestResult:
    """What a test gave: the status and the beginning of the answer, or the error."""

    __test__ = False

    ok: bool
    webhook_id: str
    http_status: int | None
    duration_ms: int
    error: str
    detail: str


def send_test(*, endpoint: WebhookEndpoint, by: Actor, now: datetime) -> TestResult:
    """Send one event `webhook.test` now, note it in the log, and return what the receiver answered. A disabled endpoint is called too.

    Raises:
        NotFound: it was deleted during the call.
        TooMany: as many calls as a process may wait for are in progress.
    """
    webhook_id = request.new_webhook_id()
    event = {
        "id": f"evt_test_{webhook_id}",
        "type": event_types.WEBHOOK_TEST,
        "timestamp": now.isoformat(),
        "data": {"endpoint": endpoint.name},
    }
    with outgoing_calls.place(endpoint.tenant_id):
        answer = request.post(endpoint, webhook_id=webhook_id, events=[event], now=now)
    with transaction.atomic():
        lock(endpoint)
        request.log(endpoint, answer, webhook_id=webhook_id, kind=DeliveryKind.TEST, events=1, at=now)
        _record(endpoint, Action.WEBHOOK_TEST, by, status=answer.status, http_status=answer.http_status)
    return TestResult(
        answer.status == DeliveryStatus.DELIVERED, webhook_id, answer.http_status, answer.duration_ms, answer.error, answer.detail
    )


def check(endpoint: WebhookEndpoint) -> None:
    """Check all fields that people fill in.

    Raises:
        Invalid: naming each wrong field.
    """
    if errors := faults(endpoint):
        raise Invalid(errors=errors)


def faults(endpoint: WebhookEndpoint) -> list[dict[str, str]]:
    """Return the wrong fields of those that people fill in, each with a code and a message."""
    return [
        {"field": field, "code": code, "message": message}
        for field, (code, message) in {
            "name": _fault_of_name(endpoint),
            "url": _fault_of_url(endpoint),
            "event_types": _fault_of_types(endpoint.event_types),
            "channels": _fault_of_channels(endpoint.channels),
            "max_events": _fault_of_number(endpoint.max_events),
        }.items()
        if message
    ]


def _fault_of_name(endpoint: WebhookEndpoint) -> tuple[str, str]:
    name = endpoint.name
    if not isinstance(name, str) or not is_visible(name) or len(name) > 100 or find_control(name):
        return "invalid", _("Between 1 and 100 characters, without control characters.")
    if _is_taken(endpoint):
        return "taken", _("An endpoint with this name already exists.")
    return "", ""


def _is_taken(endpoint: WebhookEndpoint) -> bool:
    return WebhookEndpoint.objects.filter(tenant_id=endpoint.tenant_id, name=endpoint.name).exclude(pk=endpoint.pk).exists()


def _must_be_free(endpoint: WebhookEndpoint) -> None:
    """Look once more at the name, now that others who take one wait."""
    if _is_taken(endpoint):
        raise Invalid.field("name", _("An endpoint with this name already exists."), "taken")


def _fault_of_url(endpoint: WebhookEndpoint) -> tuple[str, str]:
    url: object = endpoint.url
    if not isinstance(url, str) or not url or len(url) > MAX_URL_CHARACTERS:
        return "invalid", _("Between 1 and {n} characters.").format(n=MAX_URL_CHARACTERS)
    if found := find_control(url):
        return "control_character", _("Contains the control character {found}.").format(found=found)
    if url != url.strip():
        return "invalid", _("Must not begin or end with a blank.")
    if "\\" in url:  # clients disagree about where the host ends
        return "invalid", _("Must not contain a backslash.")
    try:
        host, port = http.host_and_port(url)
        with outgoing_calls.place_if_free(endpoint.tenant_id) as is_held:
            # Without a place only an address is looked at, which takes no time.
            if is_held or is_numeric(host):
                http.client().check_host(host, port, timeout=LOOKUP_SECONDS)
    except http.OutboundError as error:
        # A name that does not resolve yet may do so later; the address is checked again with each connection.
        return (error.code, error.detail) if error.code in ("bad_address", "blocked_address") else ("", "")
    return "", ""


def _fault_of_types(patterns: object) -> tuple[str, str]:
    if not isinstance(patterns, list) or not 1 <= len(patterns) <= MAX_PATTERNS:
        return "invalid", _("A list of 1 to {n} names.").format(n=MAX_PATTERNS)
    for pattern in patterns:
        if not isinstance(pattern, str) or not event_types.is_pattern(pattern):
            return "unknown", _("There is no event {name}. Available: {known}.").format(
                name=str(pattern)[:80], known=", ".join(event_types.subscribable())
            )
    return "", ""


def _fault_of_channels(channels: object) -> tuple[str, str]:
    if not isinstance(channels, list) or len(channels) > MAX_PATTERNS:
        return "invalid", _("A list of at most {n} names.").format(n=MAX_PATTERNS)
    for channel in channels:
        if not isinstance(channel, str) or channel not in registry.CHANNELS:
            return "unknown", _("There is no channel {channel}. Available: {known}.").format(
                channel=str(channel)[:80], known=", ".join(registry.CHANNELS)
            )
    return "", ""


def _fault_of_number(number: object) -> tuple[str, str]:
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_EVENTS:
        return "invalid", _("Between 1 and {n}.").format(n=MAX_EVENTS)
    return "", ""


def _record(endpoint: WebhookEndpoint, action: Action, by: Actor, **detail: object) -> None:
    audit.record(by=by, action=action, target=endpoint.pk, tenant_id=endpoint.tenant_id, detail=detail)
