"""Labelled texts are read from CSV, and what is wrong with them is told with its line."""

from pathlib import Path

import numpy as np
import pytest

from routing.intents import vectors
from routing.intents.importing import check_rows
from routing.intents.labelled import BadFile, Row, read, read_file


def faults(content: bytes) -> list[tuple[int, str]]:
    with pytest.raises(BadFile) as found:
        read(content)
    return [(fault.line, fault.message) for fault in found.value.faults]


def test_texts_with_commas_quotes_and_line_breaks_are_read_with_the_line_on_which_they_begin() -> None:
    content = '\ufeffText,Category,language\r\n"Hi,\r\nwhere is ""it""?",order,EN\r\n\r\n我要退款,refund,zh\r\n'.encode()
    assert read(content) == [Row(2, 'Hi,\r\nwhere is "it"?', "order", "en"), Row(5, "我要退款", "refund", "zh")]


def test_all_faults_of_a_file_are_told_with_their_lines() -> None:
    found = faults(b'text,category\n,refund\nhello,\na,b,c\n"x\ny",ok\n' + b"z" * 4_001 + b",refund\n")
    assert [line for line, _message in found] == [2, 3, 4, 7]
    assert "oos" in found[1][1]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 0, "no rows"),
        (b"text,category\n", 0, "no rows"),
        (b"text,label\na,b\n", 1, "category"),
        (b"text;category\na;b\n", 1, "text, category"),
        (b'text,category\n"open,b\n', 2, "quote"),
        (b"text,category\nok,a\n\xff\xfe,b\n", 3, "UTF-8"),
        (b"text,category\na\x00,b\n", 2, "NUL"),
    ],
)
def test_a_file_that_is_no_table_of_texts_is_refused_with_the_reason(content: bytes, line: int, message: str) -> None:
    found = faults(content)
    assert found[0][0] == line
    assert message in found[0][1]


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"missing\.csv"):
        read_file(tmp_path / "missing.csv")


def test_doubles_contradictions_and_near_doubles_are_found_with_their_lines() -> None:
    rows = [
        Row(2, "I want to cancel my order.", "order"),
        Row(3, "i want to  cancel my order", "order"),
        Row(4, "我要退款", "refund"),
        Row(5, "我要退款！", "invoice"),
        Row(6, "I want to cancel my order please", "delivery"),
        Row(7, "please send an invoice", "invoice"),
    ]
    report = check_rows(rows)
    assert [(found.line, found.other_line) for found in report.duplicates] == [(3, 2)]
    assert [(found.line, found.other_line) for found in report.contradictions] == [(5, 4)]
    assert [(found.line, found.other_line, found.category, found.other_category) for found in report.near_doubles] == [
        (6, 2, "delivery", "order")
    ]
    assert [row.line for row in report.kept] == [2, 6, 7]


def test_near_doubles_of_two_categories_are_told_first() -> None:
    rows = [Row(number, f"text number {word}", category) for number, word, category in ((1, "a", "x"), (2, "b", "x"), (3, "c", "y"))]
    same = np.zeros((3, vectors.DIMENSIONS), np.float32)
    same[:, 0] = 1
    assert [(found.line, found.other_line) for found in check_rows(rows, encode=lambda _texts: same).near_doubles] == [
        (3, 1),
        (3, 2),
        (2, 1),
    ]
