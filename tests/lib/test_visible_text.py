"""A text of invisible characters alone counts as blank."""

import pytest

from posthaste.lib.visible_text import is_visible


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u00a0\u2060", "\ufeff\u200d", "\u3164", "\u2800 \u2800", "\ufe0f", "\u3000"])
def test_a_text_that_shows_nothing_is_not_visible(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize("text", ["Shop", " a ", "\u200bx", "商店", "متجر", "🛒", "-", "می\u200cخواهم", "❤\ufe0f"])
def test_a_text_of_any_script_is_visible(text: str) -> None:
    assert is_visible(text)
