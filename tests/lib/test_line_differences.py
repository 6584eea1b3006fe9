"""Texts compared line by line: exactly where that can be afforded, and always to an end."""

import random

import pytest

from posthaste.lib import line_differences
from posthaste.lib.line_differences import MAX_LINES, Line, diff


def shown(before: str, after: str, context: int = 1) -> list[str]:
    marks = {"same": " ", "removed": "-", "added": "+", "gap": "…"}
    return [f"{marks[line.kind]}{line.text}" for line in diff(before, after, context=context)]


def test_what_differs_is_shown_with_the_equal_lines_around_it() -> None:
    assert shown("a\nb\nc\nd\ne\n", "a\nb\nC\nd\ne\n") == ["…", " b", "-c", "+C", " d"]
    assert shown("a\nb\nc\nd\ne\nf\n", "A\nb\nc\nd\ne\nf\ng\n") == ["-a", "+A", " b", "…", " f", "+g"]
    assert shown("a\nb\n", "b\na\n", 0) in (["-a", "…", "+a"], ["+b", "…", "-b"])
    assert shown("a\nb\n", "a\nb\n") == shown("", "") == []
    assert diff("a\nb\n", "a\nx\nb\n", context=1) == [Line("same", "a", 1, 1), Line("added", "x", None, 2), Line("same", "b", 2, 3)]


@pytest.mark.parametrize("max_pairs", [1 << 28, 40, 6, 0])
def test_the_new_text_can_be_made_of_the_old_one_and_what_is_shown(max_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_differences, "MAX_PAIRS", max_pairs)
    chance = random.Random(1)
    for _ in range(500):
        old = chance.choices("abcdefghij", k=chance.randrange(14))
        new = list(old)
        for _change in range(chance.randrange(4)):
            at = chance.randrange(len(new) + 1)
            new[at : at + chance.randrange(3)] = chance.choices("abcdefghij", k=chance.randrange(3))
        lines = diff("\n".join(old), "\n".join(new), context=len(old))
        if old == new:
            assert lines == []
            continue
        assert [(line.before, line.text) for line in lines if line.kind != "added"] == list(enumerate(old, 1))
        assert [(line.after, line.text) for line in lines if line.kind != "removed"] == list(enumerate(new, 1))


# Each takes hours where every line is compared with every other.
SAME_LINES = "a\n" * 400_000
ALTERNATING = "a\nb\n" * 200_000
NUMBERED = [f"{n}\n" for n in range(60_000)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (SAME_LINES, SAME_LINES, []),
        (SAME_LINES, SAME_LINES[:-2] + "b\n", ["…", " a", "-a", "+b"]),
        (f"x\n{''.join(NUMBERED)}y\n", f"{''.join(NUMBERED)}z\n", ["-x", " 0", "…", " 59999", "-y", "+z"]),
    ],
)
def test_a_small_change_of_a_large_text_is_found(before: str, after: str, expected: list[str]) -> None:
    assert shown(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [(SAME_LINES, "b\n" * 400_000), (f"c\n{ALTERNATING}", f"b\n{ALTERNATING}a\n"), ("".join(NUMBERED), "".join(reversed(NUMBERED)))],
)
def test_of_texts_that_differ_everywhere_the_first_lines_are_shown(before: str, after: str) -> None:
    lines = diff(before, after)
    assert len(lines) == MAX_LINES + 1
    assert (lines[-1].kind, str(MAX_LINES) in lines[-1].text) == ("gap", True)
