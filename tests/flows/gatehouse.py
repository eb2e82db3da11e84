"""People who answer gates, and those who pretend to."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from tests.flows.harness import Ran, Stage

_numbers = count(1)


@dataclass
class People:
    """Approvers of one plan, each with codes."""

    block: Any
    name: str
    names: list[str]

    async def code(self, name: str, run: str, decision: str = "approve") -> str:
        """Compute what `shipway code` gives this person for the question that a run asks."""
        from prefect import get_client  # noqa: PLC0415

        from tasks.approval.answering import read_question  # noqa: PLC0415
        from tasks.rules.approval.one_time_codes import code_of  # noqa: PLC0415

        async with get_client() as client:
            asked = await read_question(client, await client.read_flow_run(UUID(run)))
        assert asked.question is not None
        assert asked.mismatch() == ""
        return code_of(self.block.secret(name), asked.question.challenge(decision))

    async def form(self, name: str, run: str, *, decision: str = "approve", **other: str) -> dict[str, str]:
        """Fill the form in."""
        return {"decision": decision, "approver": name, "code": other.get("code") or await self.code(name, run, decision), **other}

    def section(self, **other: Any) -> dict[str, Any]:
        """Write the plan's section."""
        return {"approvers": self.names, "quorum": 1, "block": f"approvers/{self.name}", "max_wrong_codes": 100, **other}


async def enrol(server: Any, size: int = 2) -> People:
    """Enrol people whom no other test knows, so that their codes are unused."""
    from blocks.approvers.approvers import Approvers  # noqa: PLC0415

    os.environ["SHIPWAY_KEY_FILE"] = server.environment["SHIPWAY_KEY_FILE"]
    number = next(_numbers)
    names = [f"ada{number}-{one}-{os.getpid()}" for one in range(size)]
    block = Approvers()
    for name in names:
        block.enrol(name)
    await block.save(f"people-{os.getpid()}-{number}", overwrite=True)
    return People(block, f"people-{os.getpid()}-{number}", names)


async def go_on(stage: Stage, run: str) -> Ran:
    """Let a run that was put back to work go on in a process of its own."""
    await stage.runner.run(run, "release")
    return await stage.seen(run)


async def post(run: str, form: dict[str, str]) -> Any:
    """Post a filled form, as the UI does."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        return await client.resume_flow_run(UUID(run), run_input=form)


async def answer(stage: Stage, run: str, form: dict[str, str]) -> Ran:
    """Answer the question that is asked, and let the run go on."""
    found = await post(run, form)
    assert found.status.value == "ACCEPT", found
    return await go_on(stage, run)


async def forge(run: str, form: dict[str, str] | None, *, key: str, state: Any) -> None:
    """Write an input past the form, and set the run's state by force."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        if form is not None:
            await client.create_flow_run_input(UUID(run), f"suspended-{key}-response", json.dumps(form))
        await client.set_flow_run_state(UUID(run), state, force=True)


async def question(run: str) -> tuple[str, str]:
    """Read the key and the text of the question that a run asks."""
    from prefect import get_client  # noqa: PLC0415

    from tasks.approval.answering import read_question  # noqa: PLC0415

    async with get_client() as client:
        found = await read_question(client, await client.read_flow_run(UUID(run)))
    return found.key, found.text


def answers(ran: Ran) -> list[str]:
    """List what became of the answers to a run's gates."""
    return [entry.why for entry in ran.entries if entry.name.startswith("answer ")]
