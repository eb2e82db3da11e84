"""The metrics in Prometheus's text format, as Prometheus's own tool and a parser read them."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tasks.rules.metrics.each import measure_each
from tasks.rules.metrics.exposition import exposition_of
from tasks.rules.metrics.metrics import Selection, measure
from tests.rules.metrics.made import HOUR, at, released, rolled_back

DAY = 24 * HOUR
ODD = 'we"ird\\ \n{x="1"} 7'
FACTS = [
    released("a", 0, commits=(("c1", -60.0),)), released("b", DAY, version="1.1", outcome="rolled_back"),
    rolled_back("d", 3 * DAY, bad="1.0"),
    released("m", DAY, service=ODD, kind="fix", because_of="b"), released("o", DAY, service="open", outcome="open"),
]  # fmt: skip
WHOLE = Selection("", "production", None, at(10 * DAY))
SERVICES = ["shop", ODD, "open"]


def samples(text: str) -> dict[tuple[str, str, str], float]:
    """Read it back: values by name, service, and the label that tells the series of a service apart."""
    found = [one for family in text_string_to_metric_families(text) for one in family.samples]
    other = ("outcome", "fact", "part", "percentile")
    return {
        (one.name, one.labels.get("service", ""), " ".join(one.labels[name] for name in other if name in one.labels)): one.value
        for one in found
    }


def test_each_service_has_its_own_series_and_what_has_no_value_has_none() -> None:
    """By the same figures as people read; a name cannot break out of its label."""
    found = samples(exposition_of(measure_each(FACTS, SERVICES, WHOLE), broken=2))
    assert found["shipway_release_success_ratio", "shop", ""] == 0.5
    assert found["shipway_release_duration_seconds", "shop", "people 50"] == 600
    assert (found["shipway_deployments_failed", "shop", ""], found["shipway_deployments_per_day", "shop", ""]) == (2, 0.2)
    assert found["shipway_releases", "shop", "rolled_back"] == 1
    assert found["shipway_alerts", "shop", "rolled_back"] == 2
    assert found["shipway_rework_ratio", ODD, ""] == 1
    assert found["shipway_releases_open", "open", ""] == 1
    assert found["shipway_records_broken", "", ""] == 2
    assert found["shipway_last_release_timestamp_seconds", "shop", "rolled_back"] == at(DAY + HOUR).timestamp()
    assert found["shipway_last_alert_timestamp_seconds", "shop", "rolled_back"] > at(3 * DAY).timestamp()
    assert found["shipway_open_since_timestamp_seconds", "open", ""] == at(DAY).timestamp()
    assert {name for name, service, _ in found if service == "open"} == {
        "shipway_deployments", "shipway_deployments_per_day", "shipway_releases_open", "shipway_open_since_timestamp_seconds",
        "shipway_span_begin_timestamp_seconds", "shipway_span_end_timestamp_seconds",
    }  # fmt: skip


def test_a_failed_deployment_that_never_recovered_has_a_series() -> None:
    """Its recovery has no time, and must not be missed for that; what falls from one span to the next is a gauge."""
    text = exposition_of(measure_each([released("f", 0, outcome="failed")], ["shop"], WHOLE), broken=0)
    assert samples(text)["shipway_deployments_not_recovered", "shop", ""] == 1
    assert {line.split()[-1] for line in text.splitlines() if line.startswith("# TYPE")} == {"gauge"}


def test_several_services_are_measured_as_each_alone() -> None:
    """Deployments are found once for all of them."""
    assert measure_each(FACTS, ["shop"], WHOLE) == [measure(FACTS, Selection("shop", "production", None, at(10 * DAY)))]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
def test_promtool_finds_nothing_to_blame() -> None:
    """Neither a name, a unit nor a help text against the conventions."""
    text = exposition_of(measure_each(FACTS, SERVICES, WHOLE), broken=0)
    ended = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
