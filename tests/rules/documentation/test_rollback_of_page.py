"""What the page of a deployment says of its rollback: by environment, and never of one that the run did not change."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tasks.rules.documentation.page import is_deployment
from tasks.rules.documentation.rollback import rollback_lines, states_of
from tasks.rules.record.entries import Entry, Kind, chain
from tests.rules.record.test_markdown import START

Said = tuple[Kind, str, str, dict[str, Any]]
STAGED: Said = ("effect", "staging", "promote", {})
PREPARED: Said = ("effect", "production", "prepare", {})
SHIFTED: Said = ("effect", "production", "shift", {})
PROMOTED: Said = ("effect", "production", "promote", {})
DECIDED: Said = ("rollback", "", "decision", {})


def chosen(environment: str, kind: str = "redeploy") -> Said:
    """Say that a rollback was chosen."""
    return "rollback", environment, "choice", {"choice": {"kind": kind}}


def back(environment: str, outcome: str = "passed", **more: Any) -> list[Said]:
    """Say that an environment was rolled back."""
    return [chosen(environment), ("rollback", environment, "done", {"outcome": outcome, **more})]


def record(*said: Said, outcome: str, flow: str = "release", **opened: Any) -> list[Entry]:
    """Make the record of a run."""
    given = {"flow": flow, "version": "1.4", "plan": "shipway.yaml", **opened}
    entries: list[Entry] = []
    for number, (kind, environment, name, evidence) in enumerate(
        [("opened", "", "", given), *said, ("closed", "", "", {"outcome": outcome})]
    ):
        at = START + timedelta(minutes=number)
        last = entries[-1] if entries else None
        entries.append(chain(last, at=at, kind=kind, who="x", what="x", environment=environment, name=name, evidence=evidence))  # type: ignore[arg-type]
    return entries


def commands(entries: list[Entry]) -> list[str]:
    """Give the environments for which the page has a command."""
    return re.findall(r"^shipway rollback .*--environment (\S+)", "\n\n".join(rollback_lines(entries)), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("said", "outcome", "flow", "expected"),
    [
        ([STAGED], "deployed", "staging", ["staging"]),
        ([STAGED, PREPARED, SHIFTED, PROMOTED], "deployed", "release", ["staging", "production"]),
        ([PREPARED, PROMOTED], "deployed", "production", ["production"]),
        ([STAGED, *back("staging")], "failed", "release", []),
        ([STAGED, *back("staging")], "cancelled", "release", []),
        ([STAGED], "failed", "release", ["staging"]),  # `keep_on_failure`
        ([STAGED, *back("staging", "failed")], "failed", "release", ["staging"]),
        ([STAGED, chosen("staging")], "failed", "release", ["staging"]),
        ([STAGED, PREPARED, SHIFTED, *back("production"), *back("staging")], "refused", "release", []),
        ([STAGED, PREPARED, SHIFTED, *back("production"), *back("staging")], "rolled_back", "release", []),
        ([STAGED, PREPARED, SHIFTED, *back("production"), *back("staging")], "cancelled", "release", []),
        ([STAGED, PREPARED, *back("production", stays=True)], "failed", "release", ["staging"]),
        (back("staging", "failed"), "failed", "rollback", ["staging"]),
        (back("staging"), "rolled_back", "rollback", []),
        ([DECIDED], "failed", "release", []),
    ],
)
def test_a_command_names_each_environment_where_the_run_has_something_in_place_and_no_other(
    said: list[Said], outcome: str, flow: str, expected: list[str]
) -> None:
    """Who follows it rolls no healthy environment back; the page of each of these runs is committed."""
    entries = record(*said, outcome=outcome, flow=flow)
    assert commands(entries) == expected
    assert is_deployment(entries)
    assert "Nothing was changed." not in rollback_lines(entries)


@pytest.mark.parametrize("outcome", ["refused", "skipped", "failed", "cancelled"])
def test_a_run_that_changed_nothing_says_so_and_is_not_committed(outcome: str) -> None:
    """Whatever it is called in the end."""
    entries = record(outcome=outcome)
    assert rollback_lines(entries) == ["Nothing was changed."]
    assert not is_deployment(entries)


def test_a_rollback_that_found_nothing_to_do_changed_nothing() -> None:
    """It is refused, and what ran runs on."""
    done: Said = ("rollback", "production", "done", {"outcome": "passed"})
    entries = record(chosen("production", "nothing"), done, outcome="refused", flow="rollback")
    assert states_of(entries) == {}
    assert not is_deployment(entries)


def test_production_is_named_once_if_all_of_its_targets_have_it_and_else_each_by_itself() -> None:
    """A target that was rolled back is in no command."""
    review: Said = ("review", "", "", {"current": {"staging": "1.3", "production/eu": "1.3", "production/us": "1.3"}})
    eu, us = (("effect", f"production/{name}", "promote", {}) for name in ("eu", "us"))
    assert commands(record(review, eu, us, outcome="deployed")) == ["production"]  # type: ignore[arg-type]
    assert commands(record(review, eu, us, *back("production/us"), outcome="partly_deployed")) == ["production/eu"]  # type: ignore[arg-type]


def test_a_command_names_the_bad_version_so_that_no_other_is_rolled_back() -> None:
    """That of the release, or what the rollback left and returned to."""
    assert "--environment staging --bad 1.4 --reason" in rollback_lines(record(STAGED, outcome="deployed", flow="staging"))[0]
    bad: Said = ("rollback", "", "bad version", {"bad": "1.5"})
    (line,) = rollback_lines(record(bad, *back("staging", "failed"), outcome="failed", flow="rollback"))
    assert "--environment staging --to 1.4 --bad 1.5 --reason" in line
