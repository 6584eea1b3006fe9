"""Which metrics the files for Prometheus and Grafana ask for."""

import json
import re
from typing import Any

import yaml

from posthaste.env import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "posthaste.json"
NAME = re.compile(r"(?<![\w:.])(?:posthaste|granian)[_:][a-z0-9_:]+")
IN_QUOTES = re.compile(r'"[^"]*"')


def rules() -> list[dict[str, Any]]:
    """Return all rules, those that record and those that alert."""
    read = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return [rule for group in read["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that show something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Return everything that is asked of Prometheus."""
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


def wanted() -> set[str]:
    """Return the names of the metrics that are asked for, without those that rules record."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return {name for text in expressions() for name in NAME.findall(IN_QUOTES.sub('""', text))} - recorded
