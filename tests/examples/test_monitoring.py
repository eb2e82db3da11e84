"""What stands in examples/monitoring: the rules, as Prometheus's own tool judges them, and the dashboard, by a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from blocks.server import exposition as served
from tasks.rules.metrics.each import measure_each
from tasks.rules.metrics.exposition import exposition_of
from tasks.rules.metrics.metrics import Selection
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.rules.metrics.made import HOUR, at, released, rolled_back

__all__ = ["prometheus_server"]
FOLDER = Path(__file__).parents[2] / "examples" / "monitoring"
ASKED_SECONDS = 30
NAME = re.compile(r"shipway_[a-z_]+")


class Published:
    """Every series that can be served: of a history that has them all."""

    silent = False

    def text(self) -> str:
        """Write what is scraped."""
        history = [
            released("a", 0, commits=(("c1", -60.0),)), released("b", HOUR, version="1.1", outcome="rolled_back"),
            rolled_back("d", 3 * HOUR, bad="1.0"), released("o", 5 * HOUR, outcome="open"),
        ]  # fmt: skip
        measured = measure_each(history, ["shop"], Selection("", "production", None, at(24 * HOUR)))
        text = exposition_of(measured, broken=0)
        return text + "shipway_keeper_timestamp_seconds 1\nshipway_metrics_timestamp_seconds 1\n"


@pytest.fixture(scope="module")
def published(prometheus_server: PrometheusServer) -> Any:
    """Have a real Prometheus scrape it."""
    one: Any = Published()
    prometheus_server.exporters.append(one)
    until = time.monotonic() + ASKED_SECONDS
    while not prometheus_server.ask("shipway_keeper_timestamp_seconds"):
        assert time.monotonic() < until
        time.sleep(0.1)
    yield prometheus_server
    prometheus_server.exporters.remove(one)


def queries() -> list[str]:
    """List the queries of all panels, for every service and environment."""
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(found) >= len(panels)
    return [one.replace("$service", ".*").replace("$environment", ".*") for one in found]


@pytest.mark.parametrize("query", queries())
def test_every_query_of_the_dashboard_gives_a_series(published: PrometheusServer, query: str) -> None:
    """A name that is spelled otherwise than it is served would be an empty panel."""
    assert published.ask(query)


def test_rules_name_nothing_that_is_not_served(published: PrometheusServer) -> None:
    """A rule over a name that does not exist never fires."""
    groups = yaml.safe_load((FOLDER / "shipway.rules.yaml").read_text())["groups"]
    names = {name for group in groups for rule in group["rules"] for name in NAME.findall(rule["expr"])}
    assert len(names) > 6, "or the pattern finds none"
    assert [name for name in sorted(names) if not published.ask(name)] == []
    assert {served.KEEPER, served.COMPUTED} <= names


def test_the_rules_fire_when_they_should() -> None:
    """As their own tests say; each alert has one."""
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool on this machine: apt-get install prometheus")
    done = subprocess.run(["promtool", "test", "rules", "shipway.rules.test.yaml"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rules, tests = (yaml.safe_load((FOLDER / name).read_text()) for name in ("shipway.rules.yaml", "shipway.rules.test.yaml"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    fired = {one["alertname"] for test in tests["tests"] for one in test.get("alert_rule_test", ()) if one["exp_alerts"]}
    assert alerts == fired


def test_the_scrape_configuration_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    """With the path of the token that an operator copies there."""
    if shutil.which("promtool") is None:
        pytest.skip("there is no promtool on this machine: apt-get install prometheus")
    text = (FOLDER / "prometheus.yaml").read_text()
    (tmp_path / "shipway.token").write_text("token")
    (tmp_path / "prometheus.yml").write_text(text.replace("/etc/prometheus/shipway.token", str(tmp_path / "shipway.token")))
    shutil.copy(FOLDER / "shipway.rules.yaml", tmp_path)
    done = subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
