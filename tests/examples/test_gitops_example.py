"""The example of a service that is deployed through Git: its files are right as they stand, and fit each other."""

from __future__ import annotations

from pathlib import Path

import yaml

from flows.commands.blocks import kinds
from flows.commands.check import look_at
from tasks.rules.gitops.reviewed import review
from tasks.rules.gitops.settings import edits_of
from tasks.rules.plan.blocks_file import read_blocks

EXAMPLE = Path(__file__).parents[2] / "examples" / "gitops"


def test_the_plan_and_the_blocks_are_right() -> None:
    """Each platform of the plan is a block of the file."""
    plan, problems, _ = look_at(EXAMPLE / "shipway.yaml")
    assert problems == []
    assert plan is not None
    blocks, faults = read_blocks(
        (EXAMPLE / "blocks.yaml").read_bytes(), name="blocks.yaml", kinds=kinds(), environ={"DEPLOY_TOKEN": "t0ken"}
    )
    assert faults == []
    production = blocks["gitops/podinfo-production"]
    named = {getattr(production, field) for field in ("git", "engine", "platform")}
    sections = yaml.safe_load((EXAMPLE / "shipway.yaml").read_text())
    platforms = {sections[name]["platform"] for name in ("staging", "production")}
    assert platforms | named == set(blocks)


def test_the_edit_fits_the_repository() -> None:
    """Its one value is found, and the diff is one line."""
    blocks, _ = read_blocks((EXAMPLE / "blocks.yaml").read_bytes(), name="blocks.yaml", kinds=kinds(), environ={"DEPLOY_TOKEN": "t0ken"})
    edits = edits_of(getattr(blocks["gitops/podinfo-production"], "edits"), "6.9.1")  # noqa: B009 - of no common type
    files = {edit.file: (EXAMPLE / "deploy" / edit.file).read_bytes() for edit in edits}
    found = review("abc", files, edits)
    assert [place.value for place in found.places] == ["6.9.0"]
    assert "-    newTag: 6.9.0\n+    newTag: 6.9.1\n" in found.diff
