"""The table of docs/performance.md, from the result file.

python -m benchmarks.report [FILE]      prints Markdown
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.result import Comparison, spread
from benchmarks.run import LATEST, NAMES


def rows(name: str, entry: dict[str, Any]) -> list[str]:
    """Return the lines of one benchmark."""
    lines = []
    for number, stored in enumerate(entry["comparisons"]):
        c = Comparison(**{key: value for key, value in stored.items() if key not in ("ratio", "reached")})
        ratio = "" if c.ratio is None else f"{c.ratio:.2f} ×"
        target = {True: f"≥ {c.target:g} × ✓", False: f"≥ {c.target:g} × **missed**", None: ""}[c.reached]
        first = f"`{name}`" if not number else ""
        cells = (first, f"{c.figure} ({c.unit})", spread(c.ours), f"{c.against or 'bound'} {spread(c.theirs)}", ratio, target)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def report(entries: dict[str, Any]) -> str:
    """Return the whole table, with where and when it was measured."""
    known = [name for name in NAMES if name in entries]
    on = entries[known[0]]["on"]
    packages = ", ".join(f"{name} {version}" for name, version in on["packages"].items())
    lines = [
        (
            f"Measured {entries[known[0]]['at'][:10]} on {on['machine']}, Python {on['python']}; {on['postgresql'].split(' (')[0]} "
            f"{on['postgresql'].split()[2]}, RabbitMQ {on['rabbitmq'].split('-')[0]}, Redis {on['redis'].split('v=')[-1].split()[0]}; "
            f"{on['durability']}; {packages}. Servers, product and load generator share the machine. "
            f"Median (lowest–highest) of {entries[known[0]]['rounds']} rounds."
        ),
        "",
        "| benchmark | figure | ours | compared to | ratio | target |",
        "|---|---|---|---|---|---|",
    ]
    for name in known:
        lines += rows(name, entries[name])
    lines.append("")
    for name in known:
        lines += [f"- `{name}`: {note}." for note in entries[name]["notes"]]
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else LATEST
    if not source.exists():
        print(f"{source} is not there: run `make bench` first.", file=sys.stderr)
        return 1
    print(report(json.loads(source.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
