"""People who tick the items of a checklist, in the form and in the terminal."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.flows.gatehouse import People, go_on, post, question
from tests.flows.harness import Ran, Stage


def plan_of(stage: Stage, people: People, *more: dict[str, Any], **checklist: Any) -> str:
    """Write a plan in which each of two people ticks an item."""
    ada, grace = people.names
    items = [
        {"name": "backup", "text": "A backup was read", "who": [ada], "evidence": "link", "rollback": "Keep it for a week"},
        {"name": "call-centre", "text": "The call centre knows", "who": [grace], "skipped_by": [grace]},
        *more,
    ]
    section = {"tests_passed": False, "commands": [{"name": "disk", "command": ["true"]}], "items": items, **checklist}
    return stage.plan(checklist=section, approval={"quorum": 0, "block": f"approvers/{people.name}"})


async def hold(stage: Stage, version: str, people: People, *more: dict[str, Any], **checklist: Any) -> Ran:
    """Bring a release to its checklist."""
    run = await stage.release(stage.tag(version), plan=plan_of(stage, people, *more, **checklist))
    ran = await go_on(stage, run)
    assert ran.state == "Suspended", ran
    return ran


async def form(
    people: People, name: str, run: str, *items: str, code_for: tuple[str, ...] | None = None, skip: tuple[str, ...] = ()
) -> dict[str, str]:
    """Fill the form in, as a person does with `shipway code`."""
    from prefect import get_client  # noqa: PLC0415

    from tasks.approval.answering import read_question  # noqa: PLC0415
    from tasks.rules.approval.one_time_codes import code_of  # noqa: PLC0415
    from tasks.rules.approval.statement import extended  # noqa: PLC0415
    from tasks.rules.approval.ticks import Tick, form_of, read_tick, ticks_text  # noqa: PLC0415

    def read(texts: tuple[str, ...]) -> list[Tick]:
        found = [*map(read_tick, texts), *(read_tick(text, did="skipped") for text in skip)]
        return [tick for tick in found if tick is not None]

    async with get_client() as client:
        asked = await read_question(client, await client.read_flow_run(UUID(run)))
    assert asked.question is not None
    assert asked.mismatch() == ""
    challenge = extended(asked.question.challenge("approve"), ticks_text(read(items if code_for is None else code_for)))
    return {"approver": name, "code": code_of(people.block.secret(name), challenge), **form_of(read(items))}


async def tick(stage: Stage, run: str, filled: dict[str, str]) -> Ran:
    """Post a filled form as the UI does, and let the run go on."""
    found = await post(run, filled)
    assert found.status.value == "ACCEPT", found
    return await go_on(stage, run)


async def command(stage: Stage, people: People, run: str, name: str, *items: str, folder: Path, **more: Any) -> tuple[int, Ran]:
    """Run `shipway check-off` beside the worker."""
    from flows.commands import check_off  # noqa: PLC0415
    from tasks.lifecycle.server import server  # noqa: PLC0415

    secret = folder / f"secret-{name}"
    secret.write_text(people.block.secret(name).get_secret_value())
    secret.chmod(0o600)
    parser = argparse.ArgumentParser()
    check_off.configure(parser)
    words = [run, *items, "--as", name, "--secret-file", str(secret), "--wait", "40"]
    arguments = parser.parse_args([*words, *(f"--{option}={value}" for option, value in more.items())])

    async def worker() -> Ran:
        async with asyncio.timeout(60):
            while (await stage.seen(run)).state == "Suspended":  # noqa: ASYNC110 - the command resumes it
                await asyncio.sleep(0.1)
        return await go_on(stage, run)

    working = asyncio.create_task(worker())
    async with server() as client:
        code = await check_off._check_off(client, arguments)
    return code, await working


def refusals(ran: Ran) -> list[str]:
    """List why answers did not count."""
    return [entry.why for entry in ran.entries if entry.kind == "refused" and " answer " in entry.name]


def ticked(ran: Ran) -> list[tuple[str, str, str]]:
    """List what is ticked: item, by whom, evidence."""
    return [(entry.evidence["item"], entry.who, entry.why) for entry in ran.entries if entry.kind == "tick"]


async def key_of(run: str) -> str:
    """Give the key of the question that a run asks."""
    return (await question(run))[0]
