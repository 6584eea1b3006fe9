import re
import time

import pytest

from messaging.channels.recipients import normalise_anywhere, normalise_recipient, written_forms
from messaging.channels.standard import _valid_phone


@pytest.mark.parametrize(
    ("channel", "value", "stored"),
    [
        ("sms", "+8613812345678", "+8613812345678"),
        ("sms", " +86 138-1234-5678 ", "+8613812345678"),
        ("sms", "+1 (415) 555-2671", "+14155552671"),
        ("sms", "+15005550001", "+15005550001"),
        ("sms", "\u202a+44\u00a07400\u2011123\u2013456\u202c", "+447400123456"),
        ("sms", "\ufeff+44 7400 123456\u200b", "+447400123456"),
        ("sms", "+44\u200d7400\u00ad123\u2212456", "+447400123456"),
        (
            "sms",
            "\uff0b\uff14\uff14\u3000\uff08\uff17\uff14\uff10\uff10\uff09\u30fc\uff11\uff12\uff13\uff0d\uff14\uff15\uff16",
            "+447400123456",
        ),
        ("sms", "+49 30/901820", "+4930901820"),
        ("email", "\ufeffada@example.com\u200b", "ada@example.com"),
        ("chat", "\u200eroom-7\u200f", "room-7"),
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
        ("sms", "+44\t7400123456"),
        ("sms", "+4474\u246012345"),
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
        ("webhook", "https://example.com\\[x"),
        ("webhook", "https://a%/"),
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


@pytest.mark.parametrize(
    ("value", "kind", "stored"),
    [
        ("+44 7400 123456", "", "+447400123456"),
        ("\uff0b44 7400 123456", "", "+447400123456"),
        ("Ada@Example.COM", "", "Ada@example.com"),
        ("HTTPS://Hooks.example.com", "", "https://hooks.example.com/"),
        ("room-7", "", "room-7"),
        ("zhang.san_1", "", "zhang.san_1"),
        ("12", "", "12"),
        ("447400999777", "name", "447400999777"),
        ("zhang@corp", "name", "zhang@corp"),
        ("+room", "name", "+room"),
        ("+447400123456", "phone", "+447400123456"),
        ("ada@example.com", "email", "ada@example.com"),
        ("http://example.com", "url", "http://example.com/"),
    ],
)
def test_a_recipient_of_no_channel_says_its_kind_or_shows_it(value: str, kind: str, stored: str) -> None:
    assert normalise_anywhere(value, kind) == stored


@pytest.mark.parametrize(
    ("value", "kind", "hint"),
    [
        ("447400999777", "", "with + and the country code"),
        ("07400-999 777", "", "with + and the country code"),
        ("(415) 555-2671", "", "with + and the country code"),
        ("\uff14\uff14\uff17\uff14\uff10\uff10\uff19\uff19\uff19\uff17\uff17\uff17", "", "with + and the country code"),
        ("44\u200b7400999777", "", "with + and the country code"),
        ("\u0664\u0664\u0667\u0664\u0660\u0660", "", "with + and the country code"),
        ("-1001234567890", "", "set kind to name"),
        ("ada@localhost", "", "in full"),
        ("ada\uff20example.com", "", "in full"),
        ("tel:+447400999777", "", "without a prefix"),
        ("example.com/hook", "", "with https://"),
        ("ftp://example.com", "", "with https://"),
        ("Ada <ada@example.com>", "", "not an e-mail address"),
        ("447400999777", "phone", "international form"),
        ("447400999777", "email", "not an e-mail address"),
        ("+44 7400 123456", "name", "Leave kind out"),
        ("ada@example.com", "name", "Leave kind out"),
        ("", "", "printable"),
        ("room\u200b7", "", "printable"),
    ],
)
def test_a_recipient_of_no_channel_that_could_be_two_things_is_refused_with_a_hint(value: str, kind: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        normalise_anywhere(value, kind)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        (" 447400123456", "+447400123456"),
        ("447400123456", "+447400123456"),
        ("447400123456", "447400123456"),
        ("+44 (7400) 123-456", "+447400123456"),
        ("Ada@EXAMPLE.com", "Ada@example.com"),
        ("HTTPS://Hooks.example.com", "https://hooks.example.com/"),
        (" room-7 ", "room-7"),
    ],
)
def test_a_search_finds_the_stored_form_of_what_was_typed(typed: str, stored: str) -> None:
    assert stored in written_forms(typed)


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
