"""What pydantic finds wrong with a value, in our words and in the reader's language."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

#: pydantic's kinds of errors in our words, which are translated when they are told.
WORDS = {
    "greater_than_equal": gettext_noop("Must be at least {ge}."),
    "less_than_equal": gettext_noop("Must be at most {le}."),
    "greater_than": gettext_noop("Must be above {gt}."),
    "less_than": gettext_noop("Must be below {lt}."),
    "missing": gettext_noop("Required."),
    "extra_forbidden": gettext_noop("Unknown field."),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), gettext_noop("Must be a whole number.")),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), gettext_noop("Must be a number.")),
    **dict.fromkeys(("bool_type", "bool_parsing"), gettext_noop("Must be true or false.")),
    "string_type": gettext_noop("Must be a text."),
    "string_too_long": gettext_noop("At most {max_length} characters."),
    "string_too_short": gettext_noop("At least {min_length} characters."),
    "string_pattern_mismatch": gettext_noop("Must match {pattern}."),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        gettext_noop("Must be a date such as 2026-11-29."),
    ),
    **dict.fromkeys(
        ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        gettext_noop("Must be a date and a time such as 2026-11-29T10:00:00Z."),
    ),
    "list_type": gettext_noop("Must be a list."),
    "too_long": gettext_noop("At most {max_length} entries."),
    "too_short": gettext_noop("At least {min_length} entries."),
    **dict.fromkeys(("enum", "literal_error"), gettext_noop("Must be one of {expected}.")),
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), gettext_noop("Must be an object.")),
}


def words_of(entry: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors says."""
    context = entry.get("ctx", {})
    if entry["type"] == "value_error":
        return str(context["error"])
    words = WORDS.get(entry["type"])
    return _(words).format(**_readable(context)) if words else str(entry["msg"])


def _readable(context: Mapping[str, Any]) -> dict[str, Any]:
    """Pydantic's bounds and choices without its English and its decimals: 'a', 'b' or 'c', and 1000.0."""
    found = {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in context.items()}
    if "expected" in found:
        found["expected"] = str(found["expected"]).replace(" or ", ", ").replace("'", "")
    return found
