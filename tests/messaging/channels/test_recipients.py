import time

import pytest

from messaging.channels.recipients import normalise_recipient
from messaging.channels.standard import _valid_phone


@pytest.mark.parametrize(
    ("channel", "value", "stored"),
    [
        ("sms", "+8613812345678", "+8613812345678"),
        ("sms", " +86 138-1234-5678 ", "+8613812345678"),
        ("sms", "+1 (415) 555-2671", "+14155552671"),
        ("sms", "+15005550001", "+15005550001"),
        ("email", "Anna.Smith@Example.COM", "Anna.Smith@example.com"),
        ("email", "anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("email", "fail-once@example.com", "fail-once@example.com"),
        ("webhook", "HTTPS://Example.com", "https://example.com/"),
        ("webhook", "http://example.com:8080/a?b=c#d", "http://example.com:8080/a?b=c"),
        ("push", "abcdefgh", "abcdefgh"),
        ("push", "x" * 2048, "x" * 2048),
        ("wecom", "zhang.san_1@corp", "zhang.san_1@corp"),
        ("wecom", "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"),
        ("chat", "#general", "#general"),
        ("chat", "王小明", "王小明"),
    ],
)
def test_a_good_recipient_is_brought_into_one_form(channel: str, value: str, stored: str) -> None:
    assert normalise_recipient(channel, value) == stored


@pytest.mark.parametrize(
    ("channel", "value"),
    [
        ("sms", "13812345678"),
        ("sms", "+86138"),
        ("sms", "+861381234567890123"),
        ("sms", "+86 100 0000 0000"),
        ("sms", "+999123456789"),
        ("sms", "+1415555267x"),
        ("sms", "+٨٦13812345678"),
        ("sms", ""),
        ("email", "anna"),
        ("email", "anna@"),
        ("email", "@example.com"),
        ("email", "anna@example.com\nBcc: b@example.com"),
        ("email", "Anna <anna@example.com>"),
        ("email", "anna@exam ple.com"),
        ("email", "a" * 250 + "@example.com"),
        ("webhook", "ftp://example.com/"),
        ("webhook", "https://user:pass@example.com/"),
        ("webhook", "https:///path"),
        ("webhook", "https://example.com:99999/"),
        ("webhook", "https://example.com/a b"),
        ("webhook", "https://example.com\\@evil.example/"),
        ("webhook", "https://example.com/" + "a" * 2048),
        ("push", "short"),
        ("push", "with a blank"),
        ("push", "x" * 2049),
        ("wecom", "a/b"),
        ("wecom", "a" * 65),
        ("chat", ""),
        ("chat", "a\nb"),
        ("chat", "a" * 257),
        ("fax", "+8613812345678"),
    ],
)
def test_a_bad_recipient_is_refused_with_a_sentence(channel: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"\.|@ -$"):
        normalise_recipient(channel, value)


def test_what_is_not_text_is_refused() -> None:
    with pytest.raises(ValueError, match="text"):
        normalise_recipient("sms", 8613812345678)  # type: ignore[arg-type]


def test_ten_thousand_numbers_take_about_a_second_at_most() -> None:
    _valid_phone.cache_clear()
    numbers = [f"+86138{index:08d}" for index in range(10_000)]
    start = time.thread_time()
    for number in numbers:
        normalise_recipient("sms", number)
    assert time.thread_time() - start < 2.0  # 0.3 s where it was written; room for a slow machine
