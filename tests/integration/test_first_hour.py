"""docs/first-hour.md, followed word for word on a running installation: each command is run, and prints what the page says."""

import re
import subprocess
import sys
from pathlib import Path

from posthaste.env import ROOT
from tests.integration.stack import Stack
from tests.peers.webhook_receiver import WebhookReceiver

GUIDE = (ROOT / "docs" / "first-hour.md").read_text()
MARK = "\x1e"  # stands before what a command prints
ANYTHING = "…"
SECONDS = 400


def commands_of(guide: str) -> list[tuple[str, str]]:
    """Return the commands of the shell blocks in order, each with what the page says that it prints (empty: not said)."""
    found: list[tuple[str, str]] = []
    for language, block in re.findall(r"^```(sh|console)\n(.*?)^```", guide, re.DOTALL | re.MULTILINE):
        if language == "sh":
            found.append((block, ""))
            continue
        for each in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *rest = each.splitlines(keepends=True)
            while rest and rest[0].startswith("    "):
                command += rest.pop(0)
            found.append((command, "".join(rest)))
    return found


def fits(said: str, expected: str) -> bool:
    """Return whether an output is the expected one, whose `…` stands for anything; spaces and ends of lines don't count."""
    bare = ["".join(part.split()) for part in expected.split(ANYTHING)]
    return re.fullmatch(".*".join(map(re.escape, bare)), "".join(said.split())) is not None


def test_the_first_hour_of_a_new_desk_goes_as_its_page_says(stack: Stack, tmp_path: Path) -> None:
    commands = commands_of(GUIDE)
    script = "set -e\n" + "".join(f"printf '{MARK}'\n{command}\n" for command, _expected in commands)
    with WebhookReceiver() as receiver:
        here = {
            ".local/demo.json": str(stack.folder / "demo.json"),
            ".venv/bin/python manage.py": f"{sys.executable} {ROOT / 'manage.py'}",
            "http://127.0.0.1:8099/hooks": receiver.url,
        }
        for written, meant in here.items():
            assert written in script
            script = script.replace(written, meant)
        result = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=stack.environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    outputs = result.stdout.split(MARK)[1:]
    for (command, expected), said in zip(commands, outputs, strict=False):
        assert not expected or fits(said, expected), f"{command}\nprinted\n{said}\n{result.stderr}"
    assert len(outputs) == len(commands), f"stopped at {commands[len(outputs) - 1][0]}\n{outputs[-1]}\n{result.stderr}"
    assert result.returncode == 0, f"{outputs[-1]}\n{result.stderr}"
