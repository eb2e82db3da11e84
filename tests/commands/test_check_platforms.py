"""`shipway check` asks the platforms, where a server knows them: what they would change, and what they would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flows.commands._previews import ask_platforms, print_previews
from tasks.rules.plan.plan import Plan
from tests.flows.harness import plan_of
from tests.flows.jobs_platform import JobsPlatform

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]
EXPAND = {"name": "add-place", "manifest": "jobs/job.yaml", "when": "before", "compatibility": "expand"}


def plan_on(kind: str, folder: Path, *, migrations: list[dict[str, Any]], **fields: Any) -> Plan:
    """Make platforms that no one started, and a plan that names them; `fields` are those of production's."""
    name = f"check-{uuid4().hex[:8]}"
    sections = {one: {**plan_of(name)[one], "platform": f"{kind}/{name}-{one}"} for one in ("staging", "production")}
    for one in sections:
        platform: Any = JobsPlatform if kind == "local-with-jobs" else JobsPlatform.__mro__[1]
        made = platform(folder=str(folder / one), **(fields if one == "production" else {}))
        made.save(f"{name}-{one}")
    return Plan.model_validate({**plan_of(name), **sections, "migrations": migrations})


def test_what_would_change_is_printed_with_what_others_changed_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each environment has its part."""
    problems, notes, previews = ask_platforms(plan_on("local-with-jobs", tmp_path, migrations=[EXPAND]), version="1.1")
    assert (problems, notes) == ([], [])
    print_previews(previews, version="1.1")
    shown = capsys.readouterr().out
    assert "production: others changed since the last release:\n  process: replicas: 1 → 2 (by someone)" in shown
    assert "staging: 1.1 would change:\n  process: version: 1.0 → 1.1" in shown


def test_what_a_platform_would_refuse_is_a_problem_with_its_fix(tmp_path: Path) -> None:
    """A conflict of owners is found by the check, not by the release."""
    plan = plan_on("local-with-jobs", tmp_path, migrations=[], conflict="spec.image belongs to argocd. Let it give it up")
    problems, _, _ = ask_platforms(plan, version="1.1")
    assert problems == ["production.platform: the platform would refuse 1.1: spec.image belongs to argocd. Let it give it up"]


def test_migrations_on_a_platform_without_jobs_are_a_problem_of_each_environment(tmp_path: Path) -> None:
    """Whether or not a version is named."""
    problems, _, previews = ask_platforms(plan_on("local", tmp_path, migrations=[EXPAND]), version=None)
    assert [problem.partition(" cannot")[0].rpartition(" ")[2] for problem in problems] == ["staging", "production"]
    assert previews == {}


def test_a_platform_that_no_one_made_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of a type that has hosts; nothing is printed that could be taken for an answer."""
    plan = plan_on("local-with-jobs", tmp_path, migrations=[])
    for name in ("local/never-made", "script-hosts/never-made"):
        away = plan.model_copy(update={"production": plan.production.model_copy(update={"platform": name})})
        problems, notes, previews = ask_platforms(away, version="1.1")
        assert problems[0].startswith(f"production.platform: the block {name} does not exist or cannot be read")
        assert notes == []
        print_previews(previews, version="1.1")
        assert capsys.readouterr().out == ""


def test_environments_that_share_a_place_are_a_problem_of_the_check(tmp_path: Path) -> None:
    """Before a release is requested, which would be refused for it."""
    plan = plan_on("local", tmp_path, migrations=[])
    shared = plan.model_copy(update={"production": plan.production.model_copy(update={"platform": plan.staging.platform})})
    problems, _, _ = ask_platforms(shared, version=None)
    assert [one.partition(": ")[0] for one in problems] == ["production.platform"]
    assert f"points to the same environment as {plan.staging.platform} of staging.platform" in problems[0]
