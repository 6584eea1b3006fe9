"""Every service that changes something says who did it: `by: Actor`, and nothing but services writes the audit trail."""

import ast
import inspect
from pathlib import Path
from types import ModuleType

import pytest

from accounts.services import api_keys, people, tenants
from accounts.services.audit import Actor
from configcenter.services import drafts, items, releases, transfer
from jobs.services import lock_control
from messaging.content import editing
from messaging.providers import breakers
from messaging.providers import editing as provider_editing
from messaging.queueing import operate
from messaging.suppression import suppressions, unsubscribe
from posthaste.env import ROOT

APPS = ("accounts", "configcenter", "jobs", "messaging", "monitor")
#: How the name of a service begins that changes something for somebody.
VERBS = (
    "add", "abandon", "cancel", "change", "create", "delete", "discard", "force", "import", "issue", "pause", "promote", "publish",
    "remove", "renew", "resume", "retry", "reveal", "revoke", "rollback", "save", "send_test", "set_", "settle", "start", "undo",
    "unsubscribe", "widen",
)  # fmt: skip
#: What changes nothing that is stored, or is the engine's own work.
WITHOUT = {"change_caps"}
MODULES = (
    api_keys, people, tenants, drafts, items, releases, transfer, lock_control, editing, breakers, provider_editing, operate, suppressions,
    unsubscribe,
)  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_service_that_changes_something_takes_an_actor(module: ModuleType) -> None:
    silent = [
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and name.startswith(VERBS) and name not in WITHOUT
        if inspect.signature(function).parameters.get("by", None) is None
        or inspect.signature(function).parameters["by"].annotation not in (Actor, "Actor")
    ]
    assert silent == []


def test_no_entrance_writes_the_audit_trail_itself() -> None:
    wrong = []
    for app in APPS:
        for path in (ROOT / app).rglob("*.py"):
            parts = path.relative_to(ROOT).parts
            if not {"admin", "api", "console", "management", "nacos"} & set(parts) and path.name != "pages.py":
                continue
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            wrong += [str(Path(*parts)) for call in calls if ast.unparse(call.func) in ("audit.record", "audit.complete", "record")]
    assert wrong == []
