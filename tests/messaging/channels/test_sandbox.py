import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from messaging.channels.base import Accepted, OutcomeUnknown, ProviderError, Receipt, ReceiptError, SendRequest
from messaging.channels.recipients import normalise_recipient
from messaging.channels.registry import make_adapter
from messaging.channels.sandbox import NUMBERS, SandboxAdapter, outbox
from messaging.channels.standard import SANDBOX_NUMBERS
from tests.messaging.channels.requests import text_message


def sandbox(**config: Any) -> SandboxAdapter:
    return make_adapter("sandbox", config)  # type: ignore[return-value]


RECIPIENTS = {
    "sms": {behaviour: number for number, behaviour in NUMBERS.items()},
    "email": {name: f"{name}@example.com" for name in NUMBERS.values()},
    "push": {name: f"{name}-0123456789" for name in NUMBERS.values()},
    "wecom": {name: f"{name}-1" for name in NUMBERS.values()},
    "chat": {name: f"{name}-1" for name in NUMBERS.values()},
    "webhook": {name: f"https://example.com/{name}/1" for name in NUMBERS.values()},
}
CASES = list(RECIPIENTS.items())


@pytest.mark.parametrize(("channel", "recipients"), CASES)
def test_recipients_with_a_meaning_are_valid_for_their_channel(channel: str, recipients: dict[str, str]) -> None:
    for recipient in recipients.values():
        assert normalise_recipient(channel, recipient) == recipient


def test_all_numbers_with_a_meaning_are_let_through() -> None:
    assert set(NUMBERS) <= SANDBOX_NUMBERS


@pytest.mark.parametrize(("channel", "recipients"), CASES)
def test_recipients_with_a_meaning_do_what_is_documented(channel: str, recipients: dict[str, str]) -> None:
    adapter = sandbox()

    def outcomes(name: str) -> list[str]:
        results = [
            adapter.send_many([text_message(channel=channel, recipient=recipients[name], attempt=attempt)])[0] for attempt in (1, 2, 3, 4)
        ]
        return [
            "taken" if isinstance(r, Accepted) else "unknown" if isinstance(r, OutcomeUnknown) else "never" if r.permanent else "later"
            for r in results
        ]

    assert outcomes("fail") == ["never"] * 4
    assert outcomes("fail-once") == ["later", "taken", "taken", "taken"]
    assert outcomes("fail-twice") == ["later", "later", "taken", "taken"]
    assert outcomes("fail-always") == ["later"] * 4
    assert outcomes("slow-down") == ["later", "taken", "taken", "taken"]
    assert outcomes("timeout") == ["unknown"] * 4
    assert outcomes("bounce") == ["taken"] * 4


@pytest.mark.parametrize(
    ("channel", "recipient"),
    [("email", "failure@example.com"), ("email", "timeouts@example.com"), ("chat", "failing"), ("sms", "+15005550000")],
)
def test_other_recipients_are_simply_taken(channel: str, recipient: str) -> None:
    assert isinstance(sandbox().send(text_message(channel=channel, recipient=recipient)), Accepted)


def test_send_raises_what_send_many_gives() -> None:
    with pytest.raises(ProviderError) as caught:
        sandbox().send(text_message(recipient="+15005550006"))
    assert caught.value.retry_after == 2.0


_tenants = itertools.count(900_000_001)


def test_what_was_taken_is_in_the_outbox_and_nothing_else() -> None:
    tenant_id = next(_tenants)  # each its own list
    good, bad = text_message(tenant_id=tenant_id), text_message(recipient="+15005550001", tenant_id=tenant_id)
    sandbox().send_many([good, bad])
    assert [entry["id"] for entry in outbox.read(tenant_id=tenant_id)] == [str(good.id)]


def test_the_outbox_may_be_switched_off_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[SendRequest] = []
    monkeypatch.setattr(SandboxAdapter, "outbox", staticmethod(taken.extend))
    sandbox(keep_outbox=False).send(text_message())
    assert taken == []
    sandbox().send(text_message())
    assert len(taken) == 1


def test_receipts_go_to_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    receipts: list[Receipt] = []

    def sink(given: Sequence[Receipt]) -> None:
        receipts.extend(given)

    monkeypatch.setattr(SandboxAdapter, "receipts_sink", staticmethod(sink))
    good, bounced, failed = text_message(), text_message(recipient="+15005550005"), text_message(recipient="+15005550001")
    sandbox(receipts="delivered").send_many([good, bounced, failed])
    assert [(receipt.message_id, receipt.status) for receipt in receipts] == [(good.id, "delivered"), (bounced.id, "failed")]


def test_a_seed_makes_failures_repeatable_at_the_asked_rate() -> None:
    def run() -> list[str]:
        return [
            type(result).__name__
            for result in sandbox(failure_rate=0.2, timeout_rate=0.1, seed=7).send_many([text_message() for _ in range(2000)])
        ]

    first = run()
    assert first == run()
    assert 300 < first.count("ProviderError") < 500
    assert 130 < first.count("OutcomeUnknown") < 270


def test_latency_is_taken_once_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("messaging.channels.sandbox.time.sleep", slept.append)
    sandbox(latency_ms=50).send_many([text_message() for _ in range(100)])
    sandbox().send_many([text_message()])
    assert slept == [0.05]


def test_a_receipt_can_be_posted_by_hand() -> None:
    adapter = sandbox()
    assert adapter.parse_receipt(b'{"provider_message_id": "sandbox-1", "status": "delivered"}', {})[0].provider_message_id == "sandbox-1"
    long = adapter.parse_receipt(b'{"provider_message_id": 123456789012345678901234, "status": "failed"}', {})[0]
    assert long.provider_message_id == "123456789012345678901234"
    for body in (b"", b"[]", b"{}", b'{"provider_message_id": "x", "status": "maybe"}'):
        with pytest.raises(ReceiptError):
            adapter.parse_receipt(body, {})
