"""Where the runbook says what to do about an alarm: the section that has the name of its rule, on the page `/docs/runbook/`."""

import re
from functools import cache
from pathlib import Path

from posthaste import env

FILE = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
#: Written out, as a process that evaluates alarms need not load every page to know it.
PAGE = "/docs/runbook/"


def path(rule: str) -> str:
    """Return the address of a rule's section on this host; empty for a rule that has none, such as one of your own."""
    return f"{PAGE}#{rule}" if rule in sections() else ""


def url(rule: str) -> str:
    """Return the same address in full, for notices."""
    found = path(rule)
    return f"{env.load().public_url.rstrip('/')}{found}" if found else ""


@cache
def sections() -> frozenset[str]:
    """Return the anchors of the sections about alarms; none where the file was not installed, which must not stop a notice."""
    try:
        text = FILE.read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    about_alarms = re.split(r"^## ", text.partition("\n## Alarms\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return frozenset(slug(heading) for heading in re.findall(r"^### (.+)$", about_alarms, re.MULTILINE))


def slug(heading: str) -> str:
    """Return a heading's anchor, as the places where the file is read elsewhere make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
