"""The example of a service that is deployed by a script: its files are right as they stand, and fit each other."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from flows.commands.blocks import kinds
from flows.commands.check import look_at
from tasks.rules.plan.blocks_file import read_blocks

EXAMPLE = Path(__file__).parents[2] / "examples" / "script"


def test_the_plan_and_the_blocks_are_right() -> None:
    """Each platform of the plan is a block of the file, in one step."""
    plan, problems, _ = look_at(EXAMPLE / "shipway.yaml")
    assert problems == []
    assert plan is not None
    blocks, faults = read_blocks((EXAMPLE / "blocks.yaml").read_bytes(), name="blocks.yaml", kinds=kinds(), environ={})
    assert faults == []
    sections = yaml.safe_load((EXAMPLE / "shipway.yaml").read_text())
    assert {sections[name]["platform"] for name in ("staging", "production")} == set(blocks)
    assert [step["percent"] for step in sections["production"]["steps"]] == [100]


def test_the_script_can_be_run_and_is_as_short_as_people_write_them() -> None:
    """Some twenty lines of shell."""
    script = EXAMPLE / "quotes.sh"
    assert os.access(script, os.X_OK)
    assert len(script.read_text().splitlines()) <= 25
