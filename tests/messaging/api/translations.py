"""Which texts of a problem go through gettext, whether or not the catalogue has them."""

from typing import Any

import pytest
from django.utils import translation

MARK = "译"


def mark_translations(patch: pytest.MonkeyPatch) -> None:
    """Mark every text that goes through gettext."""
    real = translation._trans.gettext  # type: ignore[attr-defined]
    patch.setattr(translation._trans, "gettext", lambda text: f"{MARK}{real(text)}")  # type: ignore[attr-defined]


def untranslated(problem: dict[str, Any]) -> list[str]:
    """Return the texts of a problem document that did not go through gettext."""
    rows = [*problem.get("errors", []), *problem.get("rejected", [])]
    texts = [problem["title"], *([problem["detail"]] if "detail" in problem else []), *(row["message"] for row in rows)]
    return [text for text in texts if MARK not in text]
