"""Recipients made fit for lists, logs and traces."""

from collections.abc import Callable

import phonenumbers

HIDDEN = "****"
#: How a channel's recipients are masked, by the channel's code; each channel adds its own.
MASKS: dict[str, Callable[[str], str]] = {}


def mask_recipient(channel: str, value: str) -> str:
    """Hide most of a recipient: +86 138****5678, a***@example.com, abcd…yz. Short values vanish whole."""
    return MASKS.get(channel, mask_middle)(value)


def mask_middle(value: str) -> str:
    """Show the ends of a long value, and nothing of a short one."""
    return f"{value[:4]}…{value[-2:]}" if len(value) > 12 else HIDDEN


def mask_email(value: str) -> str:
    """Show the first letter and the domain of an address."""
    local, at, domain = value.rpartition("@")
    return f"{local[0] if len(local) > 2 else ''}***@{domain}" if at else HIDDEN


def mask_phone(value: str) -> str:
    """Show the country code and the ends of a number in international form."""
    digits = value.removeprefix("+")
    if not value.startswith("+") or not digits.isdecimal():
        return HIDDEN
    code = next((digits[:size] for size in (1, 2, 3) if int(digits[:size]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE), "")
    national = digits[len(code) :]
    shown = min(7, len(national) - 4)
    if shown < 3:
        return f"+{code} {HIDDEN}" if code else HIDDEN
    head = shown // 2
    return f"+{code} {national[:head]}{HIDDEN}{national[-(shown - head) :]}"
