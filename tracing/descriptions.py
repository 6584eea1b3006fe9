"""The events of a trace as a reader meets them: named words in place of lines."""

from typing import Any
from uuid import UUID

from tracing import selectors
from tracing.labels import EventKind
from tracing.selectors import Event

KINDS = {
    "A": EventKind.ACCEPTED,
    "B": EventKind.GIVEN_BACK,
    "C": EventKind.CLAIMED,
    "D": EventKind.DUPLICATES_DROPPED,
    "E": EventKind.PROVIDER_ERROR,
    "F": EventKind.BROUGHT_FORWARD,
    "G": EventKind.RENDERED,
    "I": EventKind.REQUEST_REPEATED,
    "K": EventKind.RECEIPT,
    "L": EventKind.LOOKED_UP,
    "M": EventKind.MOVED_TO_ANOTHER_PROVIDER,
    "O": EventKind.OPERATOR,
    "Q": EventKind.QUEUED,
    "R": EventKind.RETRY_SCHEDULED,
    "S": EventKind.ACCEPTED_BY_PROVIDER,
    "V": EventKind.RECOVERED,
    "W": EventKind.WEBHOOK_OUT,
    "X": EventKind.RULE,
    "Z": EventKind.ENDED,
}
#: Why a provider was chosen, by the letter that lines have for it.
CHOICES = {"o": "only", "l": "left", "w": "weighted", "f": "fastest", "i": "in_order", "t": "trial"}


def described(message_id: UUID, event: Event) -> dict[str, Any]:
    """Return an event with its time, how long after the message was accepted it came, and its words by name."""
    kind = KINDS.get(event.code)
    found: dict[str, Any] = {
        "at": selectors.at(message_id, event.at_ms),
        "offset_ms": event.at_ms,
        "event": kind.value if kind else event.code,
        **_details(event),
    }
    if event.times > 1:
        found |= {"times": event.times, "until": selectors.at(message_id, event.until_ms)}
    return found


def _reason(word: str) -> tuple[str, dict[str, int]]:
    """Return the reason, and the release of the rules that gave it."""
    reason, _at, release = word.rpartition("@")
    return (reason, {"release": int(release)}) if release.isascii() and release.isdecimal() else (word, {})


def _choice(words: tuple[str, ...]) -> dict[str, Any]:
    if not words or not words[0]:
        return {}
    letter, release = _reason(words[0])
    return {"choice": CHOICES.get(letter, letter), **({"choice_release": release["release"]} if release else {})}


def _details(event: Event) -> dict[str, Any]:
    words = event.words
    match event.code:
        case "A" if words:
            return {"traceparent": words[0]}
        case "D" if words:
            return {"rows": int(words[0])}
        case "C" if words:
            return {"attempt": int(words[0])}
        case "S" if len(words) >= 2:
            return {"duration_ms": int(words[0]), "provider": words[1], **_choice(words[2:])}
        case "E" if len(words) >= 3:
            return {"duration_ms": int(words[0]), "provider": words[1], "code": words[2], **_choice(words[3:])}
        case "R" if words:
            return {"delay_ms": int(words[0])}
        case "B" | "F" if words:
            return {"reason": words[0]}
        case "K" if words:
            return {"status": words[0], **({"outcome": words[1]} if len(words) > 1 else {})}
        case "X" if len(words) >= 2:
            reason, release = _reason(words[1])
            return {"status": words[0], "reason": reason, **release, **({"delay_ms": int(words[2])} if len(words) >= 3 else {})}
        case "M" if len(words) >= 3:
            reason, release = _reason(words[2])
            return {"from": words[0], "to": words[1], "reason": reason, **release}
        case "W" if len(words) >= 4:
            return {"duration_ms": int(words[0]), "endpoint": words[1], "told": words[2], "status": words[3]}
        case "V" if len(words) >= 2:
            return {"status": words[0], "reason": words[1]}
        case "L" if len(words) >= 2:
            return {"answer": words[0], "provider": words[1]}
        case "O" if len(words) >= 2:
            return {"verb": words[0], "who": words[1]}
        case "Z" if words:
            return {"status": words[0], **({"code": words[1]} if len(words) > 1 else {})}
    return {}
