"""Recipients made fit for lists, logs and traces."""

import phonenumbers

HIDDEN = "****"


def mask_recipient(channel: str, value: str) -> str:
    """Hide most of a recipient: +86 138****5678, a***@example.com, abcd…yz. Short values vanish whole."""
    if channel == "sms":
        return _mask_phone(value)
    if channel == "email":
        local, at, domain = value.rpartition("@")
        if not at:
            return HIDDEN
        return f"{local[0] if len(local) > 2 else ''}***@{domain}"
    return f"{value[:4]}…{value[-2:]}" if len(value) > 12 else HIDDEN


def _mask_phone(value: str) -> str:
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
