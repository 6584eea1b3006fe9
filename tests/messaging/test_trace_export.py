"""Traces exported to a real OTLP/HTTP receiver."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus

from messaging.channels.base import Receipt
from messaging.delivery.deliver import deliver
from messaging.models import Message, Status
from messaging.receipts.receive import apply_all
from messaging.trace_export import export_traces
from posthaste import env
from posthaste.lib import redis
from tests import crowds
from tests.builders import close_committer, json_of, make_api, make_message, make_provider, make_template, make_tenant, poll, published
from tests.peers.gateway import Answer, Gateway
from tests.peers.otlp_receiver import OtlpReceiver
from tracing import metrics, otlp, w3c
from tracing.services import ended, losses
from tracing.services.tally import tally

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_stacks]
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as running:
        redis.client().delete(ended.stream_key(), ended.position_key())
        settings = env.load()
        settings.otlp_endpoint, settings.otlp_headers = running.url, ["x-api-key=secret one"]
        yield running
        settings.otlp_endpoint, settings.otlp_headers = "", []
        redis.client().delete(ended.stream_key(), ended.position_key())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as running:
        yield running


def export() -> int:
    return export_traces(now=timezone.now())


def attributes(span: Span) -> dict[str, Any]:
    return {entry.key: entry.value.string_value or entry.value.int_value for entry in span.attributes}


def test_a_message_becomes_a_trace_of_its_id_whose_spans_lie_within_one_another(receiver: OtlpReceiver, gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url}, name="Gateway")
    template = make_template(tenant, body="Your code is {{ code }}.")
    message = make_message(
        tenant, status=Status.QUEUED, body="", template_version=published(template), variables={"code": "1234"}, reference="order-7"
    )
    deliver([message.pk])
    assert export() == 1
    spans = receiver.of_trace(message.pk.hex)
    root, attempt, send = spans["message sms"], spans["attempt 1"], spans["send Gateway"]
    assert root.parent_span_id == b""
    assert (attempt.parent_span_id, send.parent_span_id) == (root.span_id, attempt.span_id)
    assert send.kind == Span.SPAN_KIND_CLIENT
    assert root.start_time_unix_nano <= attempt.start_time_unix_nano <= send.start_time_unix_nano
    assert send.end_time_unix_nano <= attempt.end_time_unix_nano <= root.end_time_unix_nano
    told = attributes(root)
    assert (told["posthaste.channel"], told["posthaste.status"], told["posthaste.template"]) == ("sms", "sent", template.name)
    assert message.recipient not in str(receiver.spans)
    assert receiver.requests[0]["x-api-key"] == "secret one"
    parent = gateway.records[0].headers["traceparent"]
    assert parent == f"00-{message.pk.hex}-{attempt.span_id.hex()}-01", "the span that was sent is the one that is exported"


def test_a_failure_is_an_error_with_its_code_and_each_call_has_a_span(receiver: OtlpReceiver, gateway: Gateway) -> None:
    tenant = make_tenant()
    make_provider(tenant, kind="http", config={"url": gateway.url}, name="Gateway")
    gateway.script(Answer(status=422, body={"error": "no such number"}))
    message = make_message(tenant, status=Status.QUEUED)
    deliver([message.pk])
    export()
    spans = receiver.of_trace(message.pk.hex)
    code = Message.objects.get(pk=message.pk).error_code
    for name in ("message sms", "attempt 1", "send Gateway"):
        assert spans[name].status.code == SpanStatus.STATUS_CODE_ERROR
        assert attributes(spans[name])["error.type"] == code


def test_a_receipt_that_comes_later_adds_its_span_and_nothing_else(receiver: OtlpReceiver, gateway: Gateway) -> None:
    tenant = make_tenant()
    provider = make_provider(tenant, kind="http", config={"url": gateway.url})
    message = make_message(tenant, status=Status.QUEUED)
    deliver([message.pk])
    export()
    before = len(receiver.spans)
    apply_all(provider=provider, receipts=[Receipt(status="delivered", message_id=message.pk)], now=timezone.now() + timedelta(seconds=2))
    export()
    (receipt,) = receiver.spans[before:]
    assert receipt.name == "receipt"
    assert receipt.parent_span_id == receiver.of_trace(message.pk.hex)["message sms"].span_id


def test_a_callers_trace_is_a_link(receiver: OtlpReceiver, gateway: Gateway) -> None:
    tenant = make_tenant()
    api = make_api(tenant)
    make_provider(tenant, kind="http", config={"url": gateway.url})
    single = {"channel": "sms", "recipient": "+8613812345678", "body": "Hi"}
    one = json_of(api.post("/api/messages/", single, headers={"traceparent": PARENT}))["id"]
    sent = {"channel": "sms", "body": "Hi", "recipients": [{"recipient": "+8613812345678"}]}
    batch = json_of(api.post("/api/messages/batch", sent, headers={"traceparent": PARENT}))["batch_id"]
    close_committer()
    tally.flush()
    rows = list(Message.objects.all())
    Message.objects.update(status=Status.QUEUED)
    deliver([row.pk for row in rows])
    export()
    assert {str(row.pk) for row in rows if str(row.batch_id) == batch or str(row.pk) == one} == {str(row.pk) for row in rows}
    for row in rows:
        assert json_of(api.get(f"/api/messages/{row.pk}/trace/"))["events"][0]["traceparent"] == PARENT
        (link,) = receiver.of_trace(row.pk.hex)["message sms"].links
        assert (link.trace_id.hex(), link.span_id.hex()) == tuple(PARENT.split("-")[1:3])


def test_while_the_receiver_is_away_traces_wait_and_none_is_lost(receiver: OtlpReceiver) -> None:
    tenant = make_tenant()
    rows = [make_message(tenant, status=Status.QUEUED, is_sandbox=True) for _ in range(150)]
    ids = [row.pk for row in rows]
    receiver.refuses = 503
    deliver(ids[:100])
    assert export() == 0
    receiver.refuses = 401  # an operator mends that
    assert export() == 0
    deliver(ids[100:])
    receiver.refuses = 0
    assert export() == 150
    assert {span.trace_id.hex() for span in receiver.spans} == {pk.hex for pk in ids}
    assert export() == 0, "each once"


def test_a_receiver_that_dies_and_comes_back_gets_every_trace(receiver: OtlpReceiver) -> None:
    tenant = make_tenant()
    ids = [make_message(tenant, status=Status.QUEUED, is_sandbox=True).pk for _ in range(40)]
    with OtlpReceiver() as first:
        env.load().otlp_endpoint = first.url
        deliver(ids[:20])
        first.dies = True  # it has taken them, and its answer never comes
        assert export() == 0
        taken = {span.trace_id.hex(): span.span_id for span in first.spans}
    deliver(ids[20:])
    assert export() == 0, "nothing listens"
    with OtlpReceiver(port=first.port) as second:
        assert export() == 40
    sent = {span.trace_id.hex() for span in second.spans}
    assert sent == {pk.hex for pk in ids} > set(taken)
    assert all(taken[span.trace_id.hex()] in {other.span_id for other in second.spans} for span in first.spans), "the same spans again"


def test_one_that_never_answers_holds_up_nothing_but_the_export(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "TIMEOUT_SECONDS", 0.5)
    otlp._exporter.cache_clear()
    tenant = make_tenant()
    rows = [make_message(tenant, status=Status.QUEUED, is_sandbox=True) for _ in range(100)]
    ids = [row.pk for row in rows]
    receiver.hangs = True
    deliver(ids[:50])
    exporting = crowds.start(export)
    poll(lambda: receiver.requests)
    deliver(ids[50:])
    assert Message.objects.filter(status=Status.SENT).count() == 100, "sent while the export waits"
    assert exporting.join() == [0], "it gives up"
    receiver.hangs = False
    assert export() == 100
    otlp._exporter.cache_clear()


def test_what_waits_for_a_receiver_is_bounded_and_what_made_room_is_counted(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "MAX_ENTRIES", 3)
    before = losses.so_far()[losses.TRACES].number
    tenant = make_tenant()
    receiver.refuses = 503
    ids = [make_message(tenant, status=Status.QUEUED, is_sandbox=True).pk for _ in range(50)]
    for start in range(0, 50, 10):  # five flushes of ten messages each
        deliver(ids[start : start + 10])
        export()
    assert redis.client().xlen(ended.stream_key()) == 3
    lost = losses.so_far()[losses.TRACES]
    assert (lost.number - before, lost.last_at is not None) == (20, True)
    assert metrics.unexported_traces() - before == 20
    assert metrics.trace_export_lag() is not None
    receiver.refuses = 0
    assert export() == 30
    assert {span.trace_id.hex() for span in receiver.spans} == {pk.hex for pk in ids[20:]}, "the oldest made room"
    assert metrics.trace_export_lag() == 0.0


def test_what_the_receiver_refuses_for_good_is_left_out_and_counted_and_holds_up_no_other(receiver: OtlpReceiver) -> None:
    before = losses.so_far()[losses.TRACES].number
    tenant = make_tenant()
    ids = [make_message(tenant, status=Status.QUEUED, is_sandbox=True).pk for _ in range(5)]
    receiver.refused_trace = ids[2].hex
    for pk in ids:
        deliver([pk])
    assert export() == 4
    assert {span.trace_id.hex() for span in receiver.spans} == {pk.hex for pk in ids if pk != ids[2]}
    assert losses.so_far()[losses.TRACES].number - before == 1
    assert export() == 0


def test_where_no_receiver_is_configured_nothing_is_kept_for_it() -> None:
    redis.client().delete(ended.stream_key())
    message = make_message(make_tenant(), status=Status.QUEUED, is_sandbox=True)
    deliver([message.pk])
    assert not redis.client().exists(ended.stream_key())
    assert not ended.is_exported()
    assert w3c.span_id(message.pk, "a") != w3c.span_id(message.pk, "b")
