"""What the admin says of a trace: people's words for what a rule, a breaker or a cap decided."""

from collections.abc import Iterator

import pytest
from django.utils import translation

from messaging.delivery.outcome_buffer import WAITS_FOR_BREAKER
from messaging.labels import detail_text, event_label, event_reason
from tests.messaging.api.translations import MARK, mark_translations


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("breaker:Main gateway", "the circuit breaker of Main gateway is open"),
        ("cap:Main gateway", "Main gateway is at its limit"),
        ("rule:suppressed:hard_bounce", "the recipient is on the suppression list: Hard bounce"),
        ("rule:quiet:night", "quiet hours: night"),
        ("rule:frequency:weekly", "frequency cap: weekly"),
        ("rule:duplicate", "the same text was sent to this recipient recently"),
        ("unreachable", "it could not be reached"),
        ("breaker", "its circuit breaker is open"),
        ("rule:of-tomorrow", ""),
        ("", ""),
    ],
)
def test_a_reason_is_said_in_words(reason: str, said: str) -> None:
    assert event_reason(reason) == said


def test_what_ends_by_itself_is_not_called_a_rule() -> None:
    assert event_label({"event": "rule", "reason": "expired"}) == "Ended"
    assert event_label({"event": "rule", "reason": "rule:duplicate"}) == "Decided by a rule"
    assert event_label({"event": "rule", "status": "pending", "reason": "cap:Main gateway"}) == "Deferred"
    assert event_label({"event": "of-tomorrow"}) == "of-tomorrow"


@pytest.mark.parametrize(
    ("code", "detail", "shown"),
    [
        ("breaker", WAITS_FOR_BREAKER, f"{MARK}{WAITS_FOR_BREAKER}"),
        ("sandbox_refused", "The sandbox refuses this recipient for good.", f"{MARK}The sandbox refuses this recipient for good."),
        ("unreadable", "This can't be read: metadata, body. status: 7", f"{MARK}This can't be read: metadata, body. status: 7"),
        ("dns", "The host name sms.example does not resolve.", f"{MARK}The host name sms.example does not resolve."),
        ("http_500", "", ""),
    ],
)
def test_a_text_of_our_own_about_a_failure_is_shown_in_the_readers_language(
    code: str, detail: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark_translations(monkeypatch)
    assert detail_text(code, detail) == shown
