"""What of a caller's JSON may be stored and rendered. Its size is looked at before anything is done with it."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.utils.translation import gettext as _

MAX_JSON_BYTES = 16_384


def unstorable(field: str, value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the errors that keep a JSON object of the caller's from being stored, rendered and passed on; usually none."""
    try:
        size = len(orjson.dumps(value)) if value else 0
    except TypeError:  # orjson's error for what it can't write
        return [{"field": field, "code": "invalid", "message": _("Contains an integer of more than 64 bits or is nested too deeply.")}]
    if size > MAX_JSON_BYTES:
        return [{"field": field, "code": "too_long", "message": _("At most {n} bytes of JSON.").format(n=MAX_JSON_BYTES)}]
    return []
