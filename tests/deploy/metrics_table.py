"""Write the table of docs/metrics.md from what is declared: python -m tests.deploy.metrics_table."""

import os

import django

from posthaste.env import ROOT

PAGE = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- metrics: written by `python -m tests.deploy.metrics_table`, checked by a test -->\n", "<!-- end of metrics -->\n"


def table() -> str:
    """Return the table of all metrics, in English."""
    from django.utils import translation

    from posthaste.lib import metrics

    with translation.override("en"):
        rows = [
            f"| `{found.name}` | {', '.join(f'`{label}`' for label in found.labels)} | {found.kind} | {'yes' if found.title else ''} "
            f"| {found.help} |"
            for found in metrics.metrics()
        ]
    return "\n".join(["| Name | Labels | Kind | Alarm | Meaning |", "|---|---|---|---|---|", *rows, ""])


def written(page: str) -> str:
    """Return the page with the table of now."""
    before, _begin, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "posthaste.settings")
    django.setup()
    PAGE.write_text(written(PAGE.read_text()))
