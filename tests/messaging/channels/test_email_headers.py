from email import message_from_bytes
from email.header import decode_header, make_header
from typing import Any

import pytest

from messaging.channels.base import ProviderError
from messaging.channels.email import headers
from messaging.channels.email.compose import compose
from messaging.channels.email.headers import BadHeader, check_headers

CONTROLS = [*map(chr, range(32)), "\x7f", *map(chr, range(0x80, 0xA0)), "\u2028", "\u2029"]


def composed(**fields: Any) -> bytes:
    given = {
        "from_name": "",
        "from_email": "shop@example.com",
        "reply_to": "",
        "recipient": "anna@example.com",
        "subject": "Hello",
        "body": "A text",
        "html": "",
        "heads": {"Message-ID": "<1@example.com>"},
        **fields,
    }
    return compose(**given)


def head_lines(content: bytes) -> list[str]:
    return content.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"U+{ord(control):04X}")
def test_no_control_character_gets_into_a_header(control: str) -> None:
    for field in ("subject", "from_name", "reply_to", "recipient", "from_email"):
        with pytest.raises(ProviderError) as caught:
            composed(**{field: f"Hi{control}Reply-To : evil@example.net"})
        of_the_message = field in ("subject", "recipient")
        assert (caught.value.code, caught.value.permanent) == (("bad_header", True) if of_the_message else ("configuration", False))
        assert caught.value.field == field


def test_a_composed_head_with_another_header_than_meant_is_refused() -> None:
    for head in (
        b"Subject: Hi\r\nBcc: evil@example.net\r\nFrom: a@example.com\r\n\r\n",
        b"Subject: Hi\r\n\r\nFrom: a@example.com\r\n\r\n",
        b"Subject: Hi\r\n",
        b"Subject: Hi\r\nSubject: Ho\r\nFrom: a@example.com\r\n\r\n",
    ):
        with pytest.raises(BadHeader):
            check_headers(head, ["Subject", "From"])


def test_the_check_after_composing_stops_a_fault_of_the_composer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "find_control", lambda _text: "")
    with pytest.raises(ProviderError) as caught:
        composed(subject="Hi\r\nBcc: evil@example.net")
    assert (caught.value.code, caught.value.permanent) == ("bad_header", True)


@pytest.mark.parametrize(
    "name",
    [
        "张三李四王五赵六钱七孙八周九吴十",
        "Größte Bäckerei für süße Brötchen in der Münchner Straße und überall sonst",
        "😀" * 40,
        "中" * 128,
        'The "best" shop, really',
        "=?utf-8?q?pretends?=",
        "A name of many words that together are longer than one line of a header may be at most",
    ],
)
def test_a_display_name_of_any_length_is_written_in_encoded_words_of_75_characters(name: str) -> None:
    content = composed(from_name=name, subject=name)
    lines = head_lines(content)
    assert max(map(len, lines)) <= 78
    assert all(len(word) <= 75 for line in lines for word in line.split() if word.startswith("=?"))
    parsed = message_from_bytes(content)
    assert str(make_header(decode_header(parsed["Subject"].replace("\r\n", "")))) == name
    shown = str(make_header(decode_header(parsed["From"].replace("\r\n", ""))))
    assert shown.replace('"', "").replace("\\", "") == f"{name} <shop@example.com>".replace('"', "")


def test_a_long_subject_folds_at_its_blanks() -> None:
    subject = "word " * 30 + "end"
    content = composed(subject=subject)
    assert max(map(len, head_lines(content))) <= 78
    assert message_from_bytes(content)["Subject"].replace("\r\n", "") == subject


def test_a_word_longer_than_a_line_stays_whole() -> None:
    content = composed(subject="See https://shop.example/" + "x" * 100)
    assert [line for line in head_lines(content) if len(line) > 78] == [" https://shop.example/" + "x" * 100]
