"""Plan review: read a plan's file, with every problem at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import task

from blocks.errors import BadInput
from tasks.lifecycle.retries import OBSERVE
from tasks.process.files import read_bounded, repository_of
from tasks.rules.plan.file import MAX_BYTES, Problem, read_plan, says_plan

NOT_A_PLAN = "Name the plan's file; `shipway check FILE` says what is wrong with it."


@task(name="read plan", **OBSERVE)
async def read_plan_file(path: str) -> dict[str, Any]:
    """Read and check a plan's file.

    Args:
        path: The file.

    Returns:
        `plan` (the plan as JSON, which `Plan.model_validate` takes), `path`, `folder` (in which the plan's paths start) and
        `repository` (the Git repository around it, or the folder), all absolute.

    Raises:
        BadInput: It is missing or wrong; the message has every problem, one a line.
    """
    try:
        file, data = await asyncio.to_thread(_read, path)
    except (OSError, RuntimeError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}", field="plan", fix="Name the plan's file.") from None
    if data is None:
        raise BadInput(f"{path} does not exist", field="plan", fix="Name the plan's file, as `shipway.yaml`.")
    plan, problems = await asyncio.to_thread(read_plan, data, name=file.name)
    if plan is None and not await asyncio.to_thread(says_plan, data, name=file.name):
        # Whoever may start a flow can name any file that the worker reads: its words would stand in the run's state.
        raise BadInput(f"{file.name} is not a plan: it does not say `shipway: 1` at its top", field="plan", fix=NOT_A_PLAN)
    if plan is None:
        raise BadInput(_listed(problems), field="plan", fix=f"Fix it, and check with `shipway check {file.name}`.")
    repository = await asyncio.to_thread(repository_of, file.parent)
    return {"plan": plan.model_dump(mode="json"), "path": str(file), "folder": str(file.parent), "repository": str(repository)}


def _read(path: str) -> tuple[Path, bytes | None]:
    file = Path(path).expanduser().resolve()
    return file, read_bounded(file, limit_bytes=MAX_BYTES)


def _listed(problems: list[Problem]) -> str:
    lines = "\n".join(str(problem) for problem in problems)
    return f"{len(problems)} problem(s)\n{lines}\n"
