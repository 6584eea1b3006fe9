"""Docstrings and comments are plain, modern English."""

import ast
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from posthaste.env import ROOT
from tests.architecture.test_code import APPS

FOLDERS = (*APPS, "benchmarks", "deploy", "tests")
RIDDLES = re.compile(r"\b(This (function|class)|This method will|whoever|whomever|whom|nobody|somebody)\b", re.IGNORECASE)


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield docstrings and comments with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def riddles(source: str) -> list[str]:
    """Return each riddle of a module as `line: word`."""
    return [f"{line}: {found[0]}" for line, text in prose(source) for found in RIDDLES.finditer(text)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_prose_is_free_of_riddles(folder: str) -> None:
    found = {str(path.relative_to(ROOT)): riddles(path.read_text()) for path in (ROOT / folder).rglob("*.py")}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_riddle_is_found_in_docstrings_and_comments_and_not_in_code() -> None:
    source = 'def f():\n    """Tell whoever asks."""\n    nobody = 1  # for nobody\n    return "whom"\n'
    assert riddles(source) == ["2: whoever", "3: nobody"]
    assert riddles(Path(__file__).read_text()) == []
