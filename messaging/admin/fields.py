"""Form fields that several pages share."""

import json
from typing import Any

from django import forms


class PrettyJSONField(forms.JSONField):
    """JSON as people read it: indented, and with characters as they are."""

    def __init__(self, *, rows: int = 6, **kwargs: Any) -> None:
        attributes = {"rows": rows, "class": "code", "spellcheck": "false", "autocomplete": "off"}
        super().__init__(widget=forms.Textarea(attrs=attributes), **kwargs)

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
