"""What a valid text names and what does not exist. It may be published: what is named may be made later, or lie in another tenant."""

from typing import Any

import orjson
from pydantic import ValidationError

from configcenter.models import ConfigItem
from configcenter.services.validation import base_of, handle_of, merged
from posthaste.lib.problems import Invalid, bounded

CODE = "does_not_exist"


def doubts_of(item: ConfigItem, content: str) -> list[dict[str, Any]]:
    """Return what names nothing in a text of a module, as entries of a problem document; nothing where the text is not valid."""
    try:
        handle = handle_of(item)
        if handle is None or handle.doubts is None:
            return []
        own = orjson.loads(content)
        value = merged(handle, base_of(handle, item), own) if item.override_of_id is not None else handle.model.model_validate(own)
    except (Invalid, ValidationError, ValueError, TypeError, AttributeError):
        return []
    found = handle.doubts(value, item.override_of_id)
    # Of an override only its own fields: the others are the installation's business.
    return bounded({"field": each.field, "code": CODE, "message": each.message} for each in found if _root(each.field) in own)


def _root(field: str) -> str:
    return field.partition(".")[0].partition("[")[0]
