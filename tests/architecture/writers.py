"""Finds the functions that write: the modules of the apps are read as text, so that a new one is seen without being named anywhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

from posthaste.env import ROOT

APPS = tuple(sorted(path.parent.name for path in ROOT.glob("*/apps.py") if path.parent.name != "posthaste"))
#: Entrances, which call services, and what only declares.
NOT_SERVICES = {
    "admin", "api", "console", "data", "management", "migrations", "models", "nacos", "navigation", "pages", "staff",
    "templatetags", "urls",
}  # fmt: skip
#: Methods that change rows, or what is kept in Redis for an operator.
WRITING = {"bulk_create", "bulk_update", "get_or_create", "update_or_create", "save", "force", "force_release"}
#: How the names of services begin that change something for a caller.
VERBS = (
    "add", "abandon", "cancel", "change", "create", "delete", "disable", "discard", "enable", "force", "import", "issue", "pause",
    "promote", "publish", "remove", "renew", "resume", "retry", "reveal", "revoke", "rollback", "run", "save", "send_test", "set_",
    "settle", "start", "undo", "unsubscribe", "widen",
)  # fmt: skip


def service_modules(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the dotted name and the text of each module of the apps that is neither an entrance nor a declaration."""
    for app in APPS:
        for path in sorted((root / app).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if not NOT_SERVICES & set(parts):
                yield ".".join(parts), path.read_text()


def functions_that_write(source: str) -> dict[str, ast.FunctionDef]:
    """Return the functions and methods of a module that write, by name, also those that write through another of the module."""
    functions = dict(_functions(ast.parse(source)))
    writing = {name for name, node in functions.items() if any(_writes(call) for call in _calls(node))}
    while more := {name for name, node in functions.items() if name not in writing and _mentions(node, writing)}:
        writing |= more
    return {name: functions[name] for name in sorted(writing)}


def unnamed_writers(source: str) -> list[str]:
    """Return the public functions of a module that write, or are named as if they did in a module that writes, without `by: Actor`."""
    writing = functions_that_write(source)
    named = dict(_functions(ast.parse(source))) if writing else {}
    found = {*writing, *(name for name in named if name.split(".")[-1].startswith(VERBS))}
    return sorted(name for name in found if not _is_private(name) and not _takes_an_actor(named[name]))


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield f"{node.name}.{method.name}", method


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (found for found in ast.walk(node) if isinstance(found, ast.Call))


def _writes(call: ast.Call) -> bool:
    if any(keyword.arg == "by" for keyword in call.keywords):
        return True  # a service, or the audit trail: the actor must come from somewhere
    if not isinstance(call.func, ast.Attribute):
        return False
    match call.func.attr:
        case "create" | "update":  # a dict's and a hash's take no keywords
            return bool(call.keywords) and not call.args
        case "delete":  # Redis is told which keys
            return not call.args and not call.keywords
        case "execute" | "executemany":  # SQL; a pipeline takes nothing
            return bool(call.args)
    return call.func.attr in WRITING


def _mentions(node: ast.AST, names: set[str]) -> bool:
    """Whether a function calls one of its module, or hands it on as a callback."""
    methods = {name.split(".")[1] for name in names if "." in name}
    for found in ast.walk(node):
        if isinstance(found, ast.Name) and found.id in names:
            return True
        if isinstance(found, ast.Attribute) and found.attr in methods and ast.unparse(found.value) in ("self", "cls"):
            return True
    return False


def _is_private(name: str) -> bool:
    return any(part.startswith("_") for part in name.split("."))


def _takes_an_actor(function: ast.FunctionDef) -> bool:
    taken = [*function.args.args, *function.args.kwonlyargs]
    return any(one.arg == "by" and one.annotation is not None and ast.unparse(one.annotation).strip("'\"") == "Actor" for one in taken)
