"""What people are told of an end: the loudest fact first, its causes by the record, and what they have to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from blocks.outside_text import as_ending
from tasks.rules.notify.facts import SEVERITIES, Fact, causes_of, facts_of, message_of
from tasks.rules.record.entries import Entry, chain

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
WATCH = {
    "outcome": "failed",
    "slis": [
        {"name": "errors", "indicator": "errors"},
        {"name": "slow", "indicator": "latency"},
        {"name": "orders", "source": "prometheus"},
    ],
}


def record(*entries: dict[str, Any]) -> list[Entry]:
    """Write a record."""
    found: list[Entry] = []
    for one in entries:
        fields = {"environment": "production", "name": "x", "who": "shipway", "what": "Looked", **one}
        found.append(chain(found[-1] if found else None, at=AT, **fields))
    return found


def check(kind: str, outcome: str, **more: Any) -> dict[str, Any]:
    """Write a check's entry."""
    return {"kind": kind, "evidence": {"outcome": outcome, **more.pop("evidence", {})}, **more}


def watch(**outcomes: str) -> dict[str, Any]:
    """Write a watch whose last reading has these verdicts."""
    verdicts = [{"sli": name, "outcome": outcome} for name, outcome in outcomes.items()]
    return {"kind": "samples", "step": 25, "evidence": {**WATCH, "points": [{"at": 1.0, "verdicts": verdicts}]}}


@pytest.mark.parametrize(
    ("entries", "causes"),
    [
        ([], ()),
        ([check("health", "passed")], ()),
        ([check("health", "failed")], ("health_check_failed",)),
        ([check("health", "error")], ("health_check_failed",)),
        ([check("health", "no_data")], ()),
        ([check("smoke", "failed", evidence={"kind": "critical"})], ("health_check_failed",)),
        ([check("smoke", "failed", evidence={"kind": "performance"})], ("performance_degraded",)),
        ([check("health", "failed"), check("health", "passed")], ()),
        ([check("health", "failed"), check("health", "passed", environment="staging")], ("health_check_failed",)),
        ([watch(errors="failed", slow="passed")], ("error_rate_high",)),
        ([watch(errors="watching", slow="failed")], ("performance_degraded",)),
        ([watch(orders="failed")], ("error_rate_high",)),
        (
            [watch(errors="failed", slow="failed"), check("health", "failed")],
            ("health_check_failed", "error_rate_high", "performance_degraded"),
        ),
        ([{"kind": "samples", "evidence": {**WATCH, "points": []}}], ()),
        ([{"kind": "samples", "evidence": {"outcome": "failed", "slis": "x", "points": [7]}}], ()),
    ],
)
def test_the_causes_are_the_checks_that_failed_last(entries: list[dict[str, Any]], causes: tuple[Fact, ...]) -> None:
    """A check that passed when it was repeated does not count, nor does one without data, or evidence of another shape."""
    assert causes_of(record(*entries)) == causes


BACK = {"kind": "rollback", "name": "done"}


@pytest.mark.parametrize(
    ("outcome", "entries", "on_demand", "facts"),
    [
        ("deployed", [], False, ("deployed",)),
        ("deployed", [check("health", "failed")], False, ("deployed",)),
        ("rolled_back", [], False, ("deployment_failed", "rolled_back")),
        ("rolled_back", [watch(errors="failed")], False, ("deployment_failed", "error_rate_high", "rolled_back")),
        ("failed", [{**BACK, "evidence": {"outcome": "failed"}}], False, ("rollback_failed", "deployment_failed")),
        ("failed", [{**BACK, "evidence": {"outcome": "passed"}}], False, ("deployment_failed",)),
        ("refused", [check("health", "failed")], False, ("refused",)),
        ("cancelled", [{**BACK, "evidence": {"outcome": "failed"}}], False, ("rollback_failed", "cancelled")),
        ("a new word", [], False, ("deployment_failed",)),
        ("rolled_back", [], True, ("rolled_back",)),
        ("failed", [], True, ("rollback_failed",)),
        ("refused", [], True, ("refused",)),
    ],
)
def test_an_end_tells_its_facts_the_loudest_first(
    outcome: str,
    entries: list[dict[str, Any]],
    on_demand: bool,  # noqa: FBT001
    facts: tuple[Fact, ...],
) -> None:
    """A rollback that failed is louder than the deployment that did; one on demand that rolled back is what was asked for."""
    assert facts_of(outcome, record(*entries), is_rollback=on_demand) == facts


def test_a_message_says_what_happened_what_to_do_and_where_to_read_on() -> None:
    """A failed rollback is written in capitals."""
    content = message_of(
        ("deployment_failed", "rollback_failed", "error_rate_high"), about="shop 1.1", reason=as_ending("12 of 80 failed"), requester="ada",
        link="http://127.0.0.1:4200/v2/runs/flow-run/r1", record="`shipway report r1`",
    )  # fmt: skip
    assert content.subject == "shop 1.1: ROLLBACK FAILED (deployment failed, error rate high)"
    assert content.severity == "critical"
    assert content.body.splitlines() == [
        "12 of 80 failed",
        "To do: Look at the service now, it may run a bad version: `shipway status`, then `shipway rollback`.",
        "Asked for by ada.",
        "Run: http://127.0.0.1:4200/v2/runs/flow-run/r1",
        "Record: `shipway report r1`",
    ]


def test_every_fact_has_a_severity_in_the_order_of_the_facts() -> None:
    """The first fact of a message decides how urgent it is."""
    order = ["critical", "error", "warning", "info"]
    assert list(SEVERITIES) == list(get_args(Fact))
    ranks = [order.index(SEVERITIES[fact]) for fact in get_args(Fact) if fact != "approval_waiting"]
    assert ranks == sorted(ranks)
