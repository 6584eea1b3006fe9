"""Every test asserts something that can fail."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthaste.env import ROOT

Function = ast.FunctionDef | ast.AsyncFunctionDef
RAISING = {"raises", "warns", "fail", "deprecated_call"}


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield all functions and methods of a module, at any depth."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def can_fail(test: ast.expr) -> bool:
    """Return whether an asserted expression is more than a constant."""
    match test:
        case ast.Constant() | ast.Tuple() | ast.List() | ast.Dict() | ast.Lambda() | ast.JoinedStr():
            return False
        case ast.BoolOp(op=ast.Or(), values=values):
            return all(not (isinstance(value, ast.Constant) and value.value) for value in values)
    return True


def asserts(function: ast.AST) -> bool:
    """Return whether code asserts or expects an exception itself."""
    for node in ast.walk(function):
        match node:
            case ast.Assert(test=test) if can_fail(test):
                return True
            case ast.Call(func=ast.Attribute(value=ast.Name(id="pytest"), attr=name)) if name in RAISING:
                return True
            case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError"))):
                return True
    return False


def called(function: ast.AST) -> set[str]:
    """Return the names of what code calls or passes on, without what they belong to."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return names | {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}


def without_assertion(sources: dict[str, str]) -> list[str]:
    """Return the tests, as path::name, that neither assert nor call a helper among the sources that does, however far down."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    helpers = [function for tree in trees.values() for function in functions(tree) if not function.name.startswith("test_")]
    # A class is as good as its methods: calling it, or entering it with `with`, calls them.
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    asserting = {"poll", "reach"} & {helper.name for helper in helpers}
    known = [(helper.name, asserts(helper), called(helper)) for helper in helpers]
    known += [(one.name, asserts(one), called(one)) for one in classes if any(f.name == "__exit__" and asserts(f) for f in functions(one))]
    while more := {name for name, does, calls in known if name not in asserting and (does or calls & asserting)}:
        asserting |= more
    return [
        f"{path}::{test.name}"
        for path, tree in trees.items()
        for test in functions(tree)
        if test.name.startswith("test_") and not asserts(test) and not called(test) & asserting
    ]


def test_no_test_is_without_an_assertion() -> None:
    paths = (ROOT / "tests").rglob("*.py")
    assert without_assertion({str(path.relative_to(ROOT)): path.read_text() for path in paths}) == []


@pytest.mark.parametrize(
    "body",
    [
        "assert f() == 1",
        "pytest.raises(ValueError, f)",
        "check()",
        "outer()",
        "[check() for _ in y]",
        "run(check)",
        "pytest.fail('no')",
    ],
)
def test_a_test_that_can_fail_is_let_pass(body: str) -> None:
    helpers = "def check(): assert f()\ndef outer(): check()\n"
    assert without_assertion({"a.py": f"def test_it(): {body}\n", "b.py": helpers}) == []


@pytest.mark.parametrize(
    "body", ["f()", "assert True", "assert f() or True", "assert (f(), 'said')", "assert 'text'", "harmless()", "assert not None or 1"]
)
def test_a_test_that_cannot_fail_is_found(body: str) -> None:
    helpers = "def harmless(): return f()\n"
    assert without_assertion({str(Path("tests") / "a.py"): f"def test_it(): {body}\n", "b.py": helpers}) == ["tests/a.py::test_it"]
