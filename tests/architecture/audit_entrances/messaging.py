"""Messages, batches, suppressions, templates, providers and breakers."""

import json
from collections.abc import Callable
from typing import Any

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME

from messaging.content import editing
from messaging.models import EventRecording, Message, Provider, WebhookEndpoint
from messaging.suppression.suppressions import masked
from tests.architecture.audit_entrances.world import KEY, USER, Event, Way, World
from tests.builders import RECIPIENTS, TESTER

WORDING = {"subject": "", "body": "Second {{ code }}", "html": "", "variables": [{"name": "code", "required": True, "example": "1"}]}
TYPED = {**WORDING, "variables": json.dumps(WORDING["variables"])}
PROVIDER = {"channel": "sms", "kind": "sandbox", "weight": "1"}


def message(verb: str, of: Callable[[World], Message], *, api: bool = True) -> Event:
    ways: list[tuple[str, Way]] = [(USER, lambda w: w.page("admin:messaging_message_do", of(w).pk, verb))]
    if api:
        ways.append((KEY, lambda w: w.call("POST", f"messages/{of(w).pk}/{verb}/")))
    return Event(f"message.{verb}", lambda w: of(w).pk, tuple(ways))


def batch(verb: str, name: str) -> Event:
    return Event(
        f"batch.{verb}",
        lambda w: getattr(w.own, name).pk,
        (
            (USER, lambda w: w.page("admin:messaging_batch_do", getattr(w.own, name).pk, verb)),
            (KEY, lambda w: w.call("POST", f"batches/{getattr(w.own, name).pk}/{verb}/")),
        ),
    )


def recording(w: World) -> int | None:
    return EventRecording.objects.filter(tenant=w.own.tenant).values_list("pk", flat=True).first()


def forget_recording(w: World) -> None:
    EventRecording.objects.filter(tenant=w.own.tenant).delete()


def save_template_draft(w: World) -> None:
    editing.save_draft(template=w.own.template, wording=WORDING, by=TESTER)


def take_off(w: World) -> None:
    chosen = {ACTION_CHECKBOX_NAME: [str(w.own.suppression.pk)], "confirmed": "1", "number": "1"}
    w.page("admin:messaging_suppression_changelist", action="take_off", **chosen)


def template_id(w: World) -> int:
    return w.own.template.pk


def described(w: World) -> dict[str, Any]:
    first = w.own.template.versions.get()
    return {"subject": "", "body": first.body, "html": "", "variables": json.dumps(first.variables), "description": "mine"}


def endpoint(verb: str, page: str, path: str, *, before: Callable[[World], object] = lambda w: None, **sent: Any) -> Event:
    return Event(
        f"webhook.{verb}",
        lambda w: w.own.endpoint.pk,
        (
            (USER, lambda w: w.page(f"admin:messaging_webhookendpoint_{page}", w.own.endpoint.pk, **sent)),
            (KEY, lambda w: w.call("POST", f"webhooks/{w.own.endpoint.pk}/{path}/")),
        ),
        before=before,
    )


def switch_off(w: World) -> None:
    WebhookEndpoint.objects.filter(pk=w.own.endpoint.pk).update(is_enabled=False)


SUPPRESSED = "eve@example.com"
ENDPOINT = {"name": "mine", "url": "http://127.0.0.1:9/mine", "event_types": ["*"], "max_events": 7}
MESSAGING = [
    message("cancel", lambda w: w.own.pending),
    message("retry", lambda w: w.own.failed),
    message("settle_sent", lambda w: w.unknown, api=False),
    message("settle_failed", lambda w: w.unknown, api=False),
    Event("message.reveal", lambda w: w.own.pending.pk, ((USER, lambda w: w.page("admin:messaging_message_reveal", w.own.pending.pk)),)),
    batch("pause", "running"),
    batch("resume", "paused"),
    batch("cancel", "running"),
    Event(
        "suppression.add",
        lambda w: masked(SUPPRESSED, "email"),
        (
            (
                USER,
                lambda w: w.page(
                    "admin:messaging_suppression_add", tenant=w.own.tenant.pk, recipients=SUPPRESSED, channel="email", reason="manual"
                ),
            ),
            (KEY, lambda w: w.call("POST", "suppressions/", {"recipient": SUPPRESSED, "channel": "email"})),
            (KEY, lambda w: w.call("POST", "suppressions/bulk/", {"recipients": [SUPPRESSED], "channel": "email"})),
        ),
    ),
    Event(
        "suppression.remove",
        lambda w: masked(w.own.suppression.recipient, w.own.suppression.channel),
        ((USER, take_off), (KEY, lambda w: w.call("DELETE", f"suppressions/{w.own.suppression.pk}/"))),
    ),
    Event(
        "template.create",
        lambda w: "mine",
        (
            (USER, lambda w: w.page("admin:messaging_template_add", tenant=w.own.tenant.pk, name="mine", channel="sms", **TYPED)),
            (KEY, lambda w: w.call("POST", "templates/", {"name": "mine", "channel": "sms", **WORDING})),
        ),
    ),
    Event(
        "template.change",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_change", template_id(w), **described(w))),
            (KEY, lambda w: w.call("PATCH", f"templates/{w.own.template.name}/", {"description": "mine"})),
        ),
    ),
    Event(
        "template.draft",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_change", template_id(w), **TYPED)),
            (KEY, lambda w: w.call("PUT", f"templates/{w.own.template.name}/draft/", WORDING)),
        ),
    ),
    Event(
        "template.publish",
        lambda w: w.own.template.name,
        (
            (USER, lambda w: w.page("admin:messaging_template_publish", template_id(w))),
            (KEY, lambda w: w.call("POST", f"templates/{w.own.template.name}/publish/")),
        ),
        before=save_template_draft,
    ),
    Event(
        "provider.create",
        lambda w: Provider.objects.get(name="mine").pk,
        (
            (
                USER,
                lambda w: w.page("admin:messaging_provider_add", tenant=w.own.tenant.pk, name="mine", **PROVIDER),
            ),
            (KEY, lambda w: w.call("POST", "providers/", {"name": "mine", "channel": "sms", "kind": "sandbox"})),
        ),
    ),
    Event(
        "provider.change",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_change", w.free.pk, name="other", **PROVIDER)),
            (KEY, lambda w: w.call("PATCH", f"providers/{w.free.pk}/", {"name": "other"})),
        ),
    ),
    Event(
        "provider.delete",
        lambda w: w.free.pk,
        ((KEY, lambda w: w.call("DELETE", f"providers/{w.free.pk}/")),),
    ),
    Event(
        "provider.test",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_test", w.free.pk, recipient=RECIPIENTS["sms"], text="Hello")),
            (KEY, lambda w: w.call("POST", f"providers/{w.free.pk}/test/", {"recipient": RECIPIENTS["sms"]})),
        ),
    ),
    Event("provider.reveal_receipt_secret", lambda w: w.free.pk, ((USER, lambda w: w.page("admin:messaging_provider_secret", w.free.pk)),)),
    Event(
        "provider.new_receipt_secret",
        lambda w: w.free.pk,
        (
            (USER, lambda w: w.page("admin:messaging_provider_new_secret", w.free.pk)),
            (KEY, lambda w: w.call("POST", f"providers/{w.free.pk}/receipt-secret/")),
        ),
    ),
    Event(
        "webhook.create",
        lambda w: WebhookEndpoint.objects.get(name="mine").pk,
        (
            (
                USER,
                lambda w: w.page("admin:messaging_webhookendpoint_add", tenant=w.own.tenant.pk, is_enabled="on", **ENDPOINT),
            ),
            (KEY, lambda w: w.call("POST", "webhooks/", ENDPOINT)),
        ),
    ),
    Event(
        "webhook.change",
        lambda w: w.own.endpoint.pk,
        (
            (USER, lambda w: w.page("admin:messaging_webhookendpoint_change", w.own.endpoint.pk, **ENDPOINT)),
            (KEY, lambda w: w.call("PATCH", f"webhooks/{w.own.endpoint.pk}/", {"max_events": 7})),
        ),
    ),
    Event(
        "webhook.delete",
        lambda w: w.own.endpoint.pk,
        (
            (USER, lambda w: w.page("admin:messaging_webhookendpoint_delete", w.own.endpoint.pk, post="yes")),
            (KEY, lambda w: w.call("DELETE", f"webhooks/{w.own.endpoint.pk}/")),
        ),
    ),
    Event("events.record", recording, ((KEY, lambda w: w.call("POST", "events/")),), before=forget_recording),
    endpoint("test", "test", "test"),
    endpoint("rotate_secret", "rotate", "rotate-secret", keep_for="3600"),
    endpoint("disable", "disable", "disable"),
    endpoint("enable", "enable", "enable", before=switch_off),
    Event(
        "webhook.replay",
        lambda w: w.own.endpoint.pk,
        (
            (USER, lambda w: w.page("admin:messaging_webhookdelivery_replay", w.own.delivery.pk)),
            (KEY, lambda w: w.call("POST", f"webhooks/{w.own.endpoint.pk}/deliveries/{w.own.delivery.pk}/replay/")),
        ),
    ),
    Event(
        "breaker.force",
        lambda w: w.own.breaker,
        (
            (USER, lambda w: w.page("admin:messaging_provider_breaker", w.own.provider.pk, to="open")),
            (KEY, lambda w: w.call("POST", f"breakers/{w.own.breaker}/force/", {"state": "open"})),
        ),
    ),
]
