"""A plan file that was edited after the release: the rollback goes where the release acted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.harness import Stage, check_closed

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.usefixtures("visitors")]


async def test_a_broken_plan_file_does_not_refuse_the_rollback(stage: Stage) -> None:
    """It goes by the plan that the release had, and says so, also without a file that decided about the release."""
    from blocks.key_folder.kept_files import kept_names  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    write(str(stage.repository / "quiet.py"), "")
    plan = stage.plan(checklist={"tests_passed": False, "commands": [{"name": "quiet", "command": ["python3", "quiet.py"]}]})
    released = await stage.release_through(stage.tag("2.0"), plan=plan)
    await check_closed(stage, released, outcome="deployed")
    write(plan, "service: [\n")
    (stage.repository / "quiet.py").unlink()
    back = await stage.carry_through(await stage.ask("rollback", plan=plan, reason="orders are lost"), "rollback")
    await check_closed(stage, back, outcome="rolled_back")
    assert (back.state, (await stage.platform("production").current())["baseline"]) == ("RolledBack", "1.0")
    assert "The rollback goes by the plan of" in back.message
    assert back.id not in kept_names("begun")


def write(path: str, content: str) -> None:
    """Edit a file."""
    Path(path).write_text(content)
