"""`make check`: every check that needs no server, one after the other. A check that fails does not hide the ones after it.

    python -m tests.check

The last line is the sum, `Checks: N of N passed`. Exit status 0: all passed.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from posthaste.env import ROOT

TOOLS = Path(sys.executable).parent
MANAGE = [sys.executable, "manage.py"]
#: What is checked, and how. The settings of Django's checks are those of a production installation.
CHECKS: dict[str, list[str]] = {
    "linter": [str(TOOLS / "ruff"), "check", "."],
    "format": [str(TOOLS / "ruff"), "format", "--check", "--quiet", "."],
    "types": [str(TOOLS / "mypy")],
    "templates": [str(TOOLS / "djlint"), "templates", "--lint", "--quiet"],
    "import layers": [str(TOOLS / "lint-imports"), "--no-cache"],
    "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    "deployment": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
}


def environment(folder: str) -> dict[str, str]:
    """Return the variables of a production installation; nothing is written outside the folder."""
    return {
        **os.environ,
        "DATA_DIR": folder,
        "DATABASE_URL": "",
        "HTTPS": "true",
        "SECRET_KEY": secrets.token_urlsafe(60),
        "ALLOWED_HOSTS": "posthaste.example",
    }


def main() -> int:
    """Run the checks and return the exit status."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name, command in CHECKS.items():
            print(f"=== {name}", flush=True)
            began = time.monotonic()
            if subprocess.run(command, cwd=ROOT, env=environment(folder), check=False).returncode:
                failed.append(name)
                print(f"=== {name} FAILED after {time.monotonic() - began:.0f} s", flush=True)
    print(f"Checks: {len(CHECKS) - len(failed)} of {len(CHECKS)} passed" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
