"""Reading the answers of an HTTP gateway."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from messaging.channels.base import ProviderError
from messaging.channels.http.config import ErrorMapping
from posthaste.lib import foreign_json
from posthaste.lib.http import Response

MAX_WAIT_SECONDS = 7 * 86_400.0  # the retry policy may allow less


def parse_json(body: bytes) -> Any:
    """Return the JSON of a body, or None."""
    try:
        return foreign_json.loads(body)
    except ValueError:
        return None


def find(data: Any, path: str) -> Any:
    """Follow a dotted path (`data.0.id`) into JSON; None where it leads nowhere."""
    for part in path.split(".") if path else ():
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


def as_text(value: Any) -> str:
    """Write a JSON value as a person would type it into a form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else foreign_json.dumps(value)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read Retry-After, seconds or a date (RFC 9110, 10.2.3), as seconds from now."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(seconds, 0.0), MAX_WAIT_SECONDS) if math.isfinite(seconds) else None


def mapped_error(answer: Response, mappings: list[ErrorMapping], *, success: bool) -> ProviderError | None:
    """Return the error of the first mapping that matches the answer."""
    data: Any = None
    parsed = False
    for mapping in mappings:
        # A mapping of a mere status says nothing about an answer that counts as success.
        if success and not (mapping.match or mapping.path):
            continue
        if mapping.status is not None and mapping.status != answer.status:
            continue
        if mapping.match and mapping.match not in answer.text:
            continue
        if mapping.path:
            if not parsed:
                data, parsed = parse_json(answer.body), True
            found = find(data, mapping.path)
            if found is None or (mapping.value is not None and as_text(found) != as_text(mapping.value)):
                continue
        wait = mapping.retry_after if mapping.retry_after is not None else retry_after(answer.headers, datetime.now(UTC))
        return ProviderError(mapping.code, excerpt(answer), permanent=mapping.permanent, retry_after=wait, hard_bounce=mapping.hard_bounce)
    return None


def status_error(answer: Response) -> ProviderError:
    """Say what a status without a mapping means."""
    status, detail = answer.status, excerpt(answer)
    wait = retry_after(answer.headers, datetime.now(UTC))
    if status == 429:
        return ProviderError("rate_limited", detail, retry_after=wait)
    if status in (401, 402, 403, 407):
        return ProviderError("provider_auth", detail, unreachable=True)
    if status in (400, 410, 411, 413, 414, 415, 422):
        return ProviderError(f"http_{status}", detail, permanent=True)
    if status == 408 or status >= 500:
        return ProviderError(f"http_{status}", detail, retry_after=wait, unreachable=True)
    if status in (409, 423, 425):
        return ProviderError(f"http_{status}", detail, retry_after=wait)
    # Redirects (not followed: they could lead inside), 404, 405 …: the gateway's address is wrong, not the message.
    return ProviderError(f"http_{status}", detail, unreachable=True)


def excerpt(answer: Response) -> str:
    """Return the status and the beginning of the body on one line."""
    text = " ".join(answer.text[:500].split())
    return f"HTTP {answer.status}: {text}" if text else f"HTTP {answer.status}"
