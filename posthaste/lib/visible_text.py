"""Texts that people read: one made of blanks and invisible characters alone shows nothing."""

import unicodedata

from rest_framework import serializers

#: Separators, control and format characters, such as U+200B ZERO WIDTH SPACE (category Cf).
INVISIBLE_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs"})
#: Letters, marks and symbols without a shape: grapheme joiner, Hangul fillers, Khmer inherent vowels, the blank of Braille, selectors.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(code) for code in range(0xFE00, 0xFE10)}


def is_visible(text: str) -> bool:
    """Return whether a text shows anything."""
    return any(character not in INVISIBLE and unicodedata.category(character) not in INVISIBLE_CATEGORIES for character in text)


def must_be_visible(text: str) -> None:
    """Check a text as a validator of a serializer's field.

    Raises:
        ValidationError: it shows nothing.
    """
    if not is_visible(text):
        raise serializers.ValidationError(serializers.CharField.default_error_messages["blank"], "blank")
