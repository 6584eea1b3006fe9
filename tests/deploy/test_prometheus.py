"""The files for Prometheus and Grafana: whole, and about what there is."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from monitor.alarms import built_in
from monitor.metrics import outlet
from posthaste.env import ROOT
from posthaste.lib import metrics
from tests import packages
from tests.deploy.metrics_table import PAGE, written
from tests.deploy.prometheus_names import DASHBOARD, PROMETHEUS, expressions, panels, rules, wanted

GRAFANA = DASHBOARD.parent
SECRET_AT = "/run/secrets/metrics_token"
SUFFIXES = re.compile(r"_(bucket|count|sum)$")
needs_promtool = pytest.mark.skipif(packages.promtool() is None, reason="promtool is missing")


def promtool(*arguments: str, folder: Path = PROMETHEUS) -> str:
    done = subprocess.run([str(packages.promtool()), *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
@pytest.mark.parametrize(("name", "token_at"), [("prometheus.yml", "/etc/prometheus/posthaste.token"), ("compose.yml", SECRET_AT)])
def test_prometheus_takes_the_configurations_as_they_are(tmp_path: Path, name: str, token_at: str) -> None:
    token = tmp_path / "posthaste.token"
    token.write_text("x" * 40)
    text = (PROMETHEUS / name).read_text()
    assert token_at in text
    (tmp_path / "prometheus.yml").write_text(text.replace(token_at, str(token)))
    (tmp_path / "alerts.yml").write_text((PROMETHEUS / "alerts.yml").read_text())
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml", folder=tmp_path)


@needs_promtool
def test_the_rules_are_whole_and_do_what_they_should() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_compose_starts_prometheus_and_grafana_on_demand_with_what_they_need() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    assert {name for name, service in services.items() if service.get("profiles")} == {"prometheus", "grafana"}
    for name in ("prometheus", "grafana"):
        service = services[name]
        assert service["profiles"] == ["monitoring"]
        assert re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+\.\d+", service["image"]), "an exact version"
        assert set(service["secrets"]) <= set(compose["secrets"])
        for volume in service["volumes"]:
            source, *_rest = volume.split(":")
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], volume
    assert services["grafana"]["ports"] == ["127.0.0.1:3000:3000"], "to nobody else: it has a password only"
    example = (ROOT / "deploy" / "env.example").read_text()
    assert [secret["environment"] for secret in compose["secrets"].values() if f"\n{secret['environment']}=" not in example] == []


def test_the_prometheus_of_compose_asks_the_containers_under_names_that_they_answer_to() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    jobs = yaml.safe_load((PROMETHEUS / "compose.yml").read_text())["scrape_configs"]
    usual = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in jobs] == [job["job_name"] for job in usual], "the rules and the dashboard name them"
    hosts = {target.partition(":")[0] for job in jobs for static in job["static_configs"] for target in static["targets"]}
    assert hosts == {"web", "ws"}
    assert "web" in services["web"]["environment"]["ALLOWED_HOSTS"].split(",")
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    assert (source["url"], source["isDefault"]) == ("http://prometheus:9090", True)
    path = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "posthaste.yml").read_text())["providers"][0]["options"]["path"]
    assert f"./deploy/grafana/{DASHBOARD.name}:{path}/{DASHBOARD.name}:ro" in services["grafana"]["volumes"]


def test_every_metric_of_ours_that_is_asked_for_is_declared() -> None:
    declared = {found.full_name for found in metrics.metrics()} | {"posthaste_metric_errors"}
    ours = {SUFFIXES.sub("", name) for name in wanted() if name.startswith("posthaste_")}
    assert len(ours) > 40
    assert ours - declared == set()


def test_every_gauge_that_an_alarm_can_watch_is_on_the_dashboard_or_in_a_rule() -> None:
    asked = {SUFFIXES.sub("", name) for name in wanted()}
    missing = {found.full_name for found in metrics.metrics() if found.full_name not in asked}
    assert missing <= {"posthaste_latency_p95_seconds"}, "the histogram gives it"


def anchors_of_the_runbook() -> set[str]:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_built_in_alarm_has_a_section_in_the_runbook() -> None:
    names = {rule.name for rule in built_in.rules()}
    assert len(names) >= 20
    assert names - anchors_of_the_runbook() == set()


def test_an_alert_links_to_a_section_of_the_runbook_that_exists() -> None:
    anchors = anchors_of_the_runbook()
    for rule in rules():
        if "alert" in rule:
            page, _hash, anchor = rule["annotations"]["runbook"].partition("#")
            assert page == "docs/runbook.md"
            assert anchor in anchors, rule["alert"]
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"]["summary"].endswith(".")


def test_the_dashboard_has_no_panel_that_lies_over_another_or_asks_a_fixed_source() -> None:
    taken: dict[tuple[int, int], str] = {}
    dashboard = json.loads(DASHBOARD.read_text())
    assert [variable["type"] for variable in dashboard["templating"]["list"]] == ["datasource"]
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} lies over {taken[x, y]}"
                taken[x, y] = panel["title"]
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["targets"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(expressions())


def test_the_documentation_lists_every_metric_as_it_is_declared() -> None:
    page = PAGE.read_text()
    assert page == written(page), "run python -m tests.deploy.metrics_table"


@pytest.mark.parametrize("configuration", ["prometheus.yml", "compose.yml"])
def test_prometheus_waits_longer_than_an_answer_can_take(configuration: str) -> None:
    jobs = yaml.safe_load((PROMETHEUS / configuration).read_text())["scrape_configs"]
    patience = next(int(job["scrape_timeout"].removesuffix("s")) for job in jobs if job["job_name"] == "posthaste")
    assert outlet.ANSWER_SECONDS + 1 <= 8 < patience
