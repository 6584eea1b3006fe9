import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthaste.lib.masking import mask_recipient


@pytest.mark.parametrize(
    ("channel", "value", "masked"),
    [
        ("sms", "+8613812345678", "+86 138****5678"),
        ("sms", "+15005550001", "+1 500****001"),
        ("sms", "+447911123456", "+44 791****456"),
        ("sms", "+35812345", "+358 ****"),
        ("sms", "nonsense", "****"),
        ("email", "anna@example.com", "a***@example.com"),
        ("email", "al@example.com", "***@example.com"),
        ("email", "nonsense", "****"),
        ("push", "abcdefghijklmnopqrstuvwxyz", "abcd…yz"),
        ("push", "abcdefghijkl", "****"),
        ("wecom", "zhangsan", "****"),
        ("webhook", "https://hooks.example.com/secret", "http…et"),
    ],
)
def test_a_recipient_is_masked(channel: str, value: str, masked: str) -> None:
    assert mask_recipient(channel, value) == masked


@given(st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True))
def test_at_least_four_digits_of_a_phone_number_stay_hidden(number: str) -> None:
    shown = sum(character.isdigit() for character in mask_recipient("sms", number))
    assert len(number) - 1 - shown >= 4


@given(st.sampled_from(["push", "wecom", "webhook", "chat"]), st.text(max_size=12))
def test_a_short_value_shows_nothing(channel: str, value: str) -> None:
    assert mask_recipient(channel, value) == "****"
