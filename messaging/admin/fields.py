"""Form fields that several pages share."""

import json
from typing import Any

from django import forms


class Decoder(json.JSONDecoder):
    """Refuses as no JSON also what Python's reader gives up on: deep nesting, and integers of thousands of digits."""

    def decode(self, s: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().decode(s, *args, **kwargs)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError) as error:
            raise json.JSONDecodeError(str(error), s, 0) from None


class PrettyJSONField(forms.JSONField):
    """JSON as people read it: indented, and with characters as they are."""

    def __init__(self, *, rows: int = 6, **kwargs: Any) -> None:
        attributes = {"rows": rows, "class": "code", "spellcheck": "false", "autocomplete": "off"}
        super().__init__(decoder=Decoder, widget=forms.Textarea(attrs=attributes), **kwargs)

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
