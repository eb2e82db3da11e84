"""Whoever writes the storage can destroy what a release remembers, which is noticed, but cannot decide by it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.key_folder.seal import split
from tasks.rules.record.entries import chain, moment, parse_entry, to_bytes
from tests.flows.gatehouse import People, answer, enrol, forge, go_on, post
from tests.flows.harness import FIRST, Ran, Stage, check_well

pytestmark = [pytest.mark.server, pytest.mark.attack, pytest.mark.timeout(400)]


ENDED = ("Failed", "RolledBack", "Refused")


@pytest.fixture
async def people(server: Any) -> People:
    """Enrol three people."""
    return await enrol(server, size=3)


@pytest.fixture
def storage(server: Any) -> Path:
    """Give the storage, which the attacker can write."""
    return Path(server.home) / "storage"


async def hold(stage: Stage, version: str, people: People, **approval: Any) -> Ran:
    """Bring a release to its gate."""
    run = await stage.release(stage.tag(version), plan=stage.plan(approval=people.section(**approval)))
    ran = await go_on(stage, run)
    assert ran.state == "Suspended", ran
    return ran


async def wake(stage: Stage, run: str) -> Ran:
    """Let a held release go on as if someone had answered."""
    from prefect.states import Scheduled  # noqa: PLC0415

    await forge(run, None, key="", state=Scheduled())
    return await go_on(stage, run)


def remembered(storage: Path, run: str, part: str) -> list[Path]:
    """Find the results of a run's tasks whose names hold a text."""
    return sorted(path for path in (storage / "shipway").rglob("*") if path.is_file() and run in str(path) and part in str(path))


def edit(path: Path, old: str, new: str) -> None:
    """Change a text in a file, which is there."""
    content = path.read_text()
    assert old in content, content
    path.write_text(content.replace(old, new))


async def ended(run: str) -> tuple[str, str]:
    """Read a run's state; its record may be unreadable."""
    from prefect import get_client  # noqa: PLC0415

    async with get_client() as client:
        state = (await client.read_flow_run(UUID(run))).state
    return (state.name or "", state.message or "") if state is not None else ("", "")


async def check_refused(stage: Stage, ran: Ran, *, names: str, states: Collection[str] = ("Failed",)) -> None:
    """Assert that a release ended without moving production, that all is as it was, and that its message names what was changed."""
    assert ran.state in states, ran
    assert names in ran.message, ran.message
    assert stage.state_of("production")["canary"] is None
    await check_well(stage, version=FIRST)


@pytest.mark.parametrize("edited", ["plan", "subject"])
async def test_a_quorum_edited_in_what_is_remembered_opens_no_gate(stage: Stage, storage: Path, people: People, edited: str) -> None:
    """The plan as it was taken, and the inputs as they were collected: each is refused, and staging goes back."""
    held = await hold(stage, {"plan": "6.1", "subject": "6.1.1"}[edited], people)
    found = remembered(storage, held.id, edited)
    assert found
    for path in found:
        edit(path, r"\"quorum\": 1", r"\"quorum\": 0")
    ran = await wake(stage, held.id)
    await check_refused(stage, ran, names=f"shipway/{held.id}/")


async def test_a_forged_judgement_is_not_an_approval(stage: Stage, storage: Path, people: People) -> None:
    """Neither one that was written for a question that no one answered, nor another release's, nor an edited one."""
    ada, grace, _ = people.names
    first = await hold(stage, "6.2", people, quorum=2)
    assert (await answer(stage, first.id, await people.form(ada, first.id))).state == "Suspended"
    (judged,) = remembered(storage, first.id, "answer")
    edit(judged, ada, grace)
    await check_refused(
        stage,
        await answer(stage, first.id, await people.form(grace, first.id)),
        names=f"shipway/{first.id}/1/answer/production-1",
        states=ENDED,
    )

    second = await hold(stage, "6.3", people, quorum=2)
    theirs = Path(str(judged).replace(first.id, second.id))
    theirs.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(judged, theirs)
    await check_refused(
        stage,
        await answer(stage, second.id, await people.form(people.names[2], second.id)),
        names=f"shipway/{second.id}/1/answer/production-1",
        states=ENDED,
    )


async def test_a_phase_result_of_another_release_is_not_believed(stage: Stage, storage: Path, people: People) -> None:
    """The results of phases lie in the storage, too: one is copied over this release's, and the release ends."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId  # noqa: PLC0415

    async def results(run: str) -> list[str]:
        async with get_client() as client:
            children = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]))
            )
        return [one.state.data.storage_key for one in children if one.state is not None and one.state.data is not None]

    first = await stage.release_through(stage.tag("6.4"))
    await stage.reset()
    second = await hold(stage, "6.4.1", people)
    other, *_ = await results(first.id)
    mine = await results(second.id)
    assert len(mine) == 3
    for key in mine:
        shutil.copyfile(storage / other, storage / key)
    ran = await wake(stage, second.id)
    assert any(key in ran.message for key in mine), ran.message
    await check_refused(stage, ran, names="does not match its seal")


def spoil(record: Path, how: str) -> None:
    """Leave no entry of a record that can be trusted."""
    for path in record.glob("0*.json"):
        if how == "every entry garbled":
            path.write_bytes(b"?" * path.stat().st_size)
        elif how == "all seals stripped":
            path.write_bytes(split(path.read_bytes())[0])
    if how == "the whole record removed":
        shutil.rmtree(record)


SPOILT = ["every entry garbled", "all seals stripped", "the whole record removed"]


@pytest.mark.parametrize("attack", ["an entry appended", "the last entry removed", "an older state put back", *SPOILT])
async def test_a_changed_record_stops_the_release(stage: Stage, storage: Path, people: People, attack: str) -> None:
    """A right hash chain helps no one without the key, and the key's folder knows how far the record went."""
    ada, grace, _ = people.names
    held = await hold(stage, f"6.5.{len(attack)}", people, quorum=2)  # a version of its own
    record = storage / "records" / held.id
    older = storage.parent / f"older-{held.id}"
    shutil.copytree(record, older / "records")
    shutil.copytree(storage / "shipway" / held.id, older / "results")
    assert (await answer(stage, held.id, await people.form(ada, held.id))).state == "Suspended"
    entries = sorted(record.glob("0*.json"))
    if attack == "an entry appended":
        last = parse_entry(split(entries[-1].read_bytes())[0])
        forged = chain(last, at=moment(last), kind="approval", name="confirmed", who="shipway", what="The approvals were verified again")
        (record / f"{forged.seq:05d}.json").write_bytes(to_bytes(forged) + b"\n" + split(entries[-1].read_bytes())[1] + b"\n")
    elif attack == "the last entry removed":
        entries[-1].unlink()
    elif attack in SPOILT:
        spoil(record, attack)
    else:
        shutil.rmtree(record)
        shutil.rmtree(storage / "shipway" / held.id)
        shutil.copytree(older / "records", record)
        shutil.copytree(older / "results", storage / "shipway" / held.id)
    await post(held.id, await people.form(grace, held.id))
    await stage.runner.run(held.id, "release")
    state, message = await ended(held.id)
    assert state == "Failed", message
    assert f"records/{held.id}" in message
    await check_well(stage, version=FIRST)


@pytest.mark.parametrize("attack", SPOILT)
async def test_a_run_that_died_with_its_record_is_settled_by_what_it_was_asked(
    stage: Stage, storage: Path, people: People, attack: str
) -> None:
    """What is kept beside the key says what it was asked: staging is rolled back, and the run's end says that the record cannot be read."""
    from prefect.states import Failed  # noqa: PLC0415

    held = await hold(stage, f"6.6.{len(attack)}", people)
    spoil(storage / "records" / held.id, attack)
    await forge(held.id, None, key="", state=Failed())
    await stage.settle(held.id, reason="its process is gone")
    state, message = await ended(held.id)
    assert state == "Failed", message
    assert "its record cannot be read" in message
    assert "shipway:open" not in await stage.tags(held.id)
    await check_well(stage, version=FIRST)


@pytest.mark.parametrize("planted", ["a symbolic link", "a pipe"])
async def test_a_release_is_rolled_back_although_its_next_entry_is_planted(
    stage: Stage, storage: Path, people: People, planted: str
) -> None:
    """The rejection cannot be recorded: staging is rolled back, the lock is released, and the message names the place."""
    held = await hold(stage, f"6.7.{len(planted)}", people)
    record = storage / "records" / held.id
    place = record / f"{len(list(record.glob('0*.json'))) + 1:05d}.json"
    if planted == "a pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/nowhere/at/all")
    await post(held.id, await people.form(people.names[0], held.id, decision="reject"))
    await stage.runner.run(held.id, "release")
    state, message = await ended(held.id)
    assert state == "Failed", message
    assert f"records/{held.id}/{place.name} is {planted}" in message
    assert "shipway:open" not in await stage.tags(held.id)
    await check_well(stage, version=FIRST)
