"""What would only be refused is refused before it gets a process, with the record that it would have written itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Scheduled
from prefect.workers.process import ProcessWorkerResult

from blocks.server.worker import refusing
from tasks.lifecycle.lock import OPEN, lock_service
from tasks.lifecycle.run_labels import begin_attempt
from tasks.record.journal import append_entry, read_entries
from tasks.refusal import TOLD_AN_HOUR, refuse_if_busy, turn_to_tell
from tasks.rules.record.entries import outcome_of, verify_chain
from tests.flows.harness import plan_of
from tests.tasks.server_runs import new_run, nothing, seen, service

WAITS = {
    "progress": {"before": "closing", "through": "0 of 1", "open": [], "done": []},
    "suspends_until": "2026-03-02T14:15:00+00:00", "gives_way_at": "2026-03-02T14:15:00+00:00",
}  # fmt: skip
on_server = [pytest.mark.server, pytest.mark.usefixtures("server")]


def written(folder: Path, name: str, **changes: Any) -> str:
    """Write a service's plan."""
    path = folder / "shipway.yaml"
    path.write_text(yaml.safe_dump({**plan_of(name), **changes}))
    return str(path)


async def requested(plan: str, *, tags: tuple[str, ...] = (OPEN,)) -> FlowRun:
    """Request a release that no process has begun."""
    asked = {"plan": plan, "version": "1.1", "reason": "a test", "requester": "rita"}
    async with get_client() as client:
        made = await client.create_flow_run(nothing, parameters=asked, tags=tags, state=Scheduled())
        return await client.read_flow_run(made.id)


class TestOnTheServer:
    """Requests as a worker finds them."""

    pytestmark = on_server

    async def test_a_release_of_a_service_that_is_held_is_refused_with_a_whole_record(self, tmp_path: Path) -> None:
        """Twice is as once; it ends Refused, names the holder, and is out of the keeper's sight."""
        name, holder = service(), await new_run()
        await lock_service.fn(name, run=holder)
        run = await requested(written(tmp_path, name))
        assert await refuse_if_busy(run)
        assert await refuse_if_busy(run)
        found, entries = await seen(str(run.id)), await read_entries(str(run.id))
        assert (found.state_name, found.run_count) == ("Refused", 0)
        assert found.state is not None
        assert holder in str(found.state.message)
        assert set(found.tags) == {"version:1.1", "shipway:nothing", f"service:{name}", "outcome:refused"}
        assert (outcome_of(entries), verify_chain(entries), [entry.kind for entry in entries]) == ("refused", [], ["opened", "closed"])

    @pytest.mark.slow
    @pytest.mark.parametrize("case", ["free", "its own", "queue", "supersede", "no plan", "untagged", "begun", "waits for ticks"])
    async def test_everything_else_is_left_to_the_run(self, tmp_path: Path, case: str) -> None:
        """A free service, one that the run holds, another rule in the plan, a broken plan, a run that only looks or goes on."""
        name = service()
        plan = written(tmp_path, name, **({"on_conflict": case} if case in {"queue", "supersede"} else {}))
        run = await requested(str(tmp_path / "none") if case == "no plan" else plan, tags=() if case == "untagged" else (OPEN,))
        if case == "begun":
            await begin_attempt.fn(str(run.id), name="", tags=[])
        holder = str(run.id) if case == "its own" else await new_run()
        if case == "waits for ticks":  # it is deployed, and gives way
            await append_entry(holder, "Asked ada", kind="gate", name="checklist closing question 1", evidence=WAITS)
        if case != "free":
            await lock_service.fn(name, run=holder)
        assert not await refuse_if_busy(await seen(str(run.id)))
        assert (await seen(str(run.id))).state_name == "Scheduled"
        assert await read_entries(str(run.id)) == []


class Begun(list[str]):
    """Notes what was started, as a worker's own way to start a run."""

    async def start(self, **words: Any) -> ProcessWorkerResult:
        """Start."""
        self.append(str(words["flow_run"].id))
        return ProcessWorkerResult(status_code=0, identifier="1")


@pytest.mark.parametrize("answer", ["refused", "not refused", "broken"])
async def test_a_worker_starts_what_is_not_refused(answer: str) -> None:
    """If it cannot be decided, the run is started, and decides it itself."""
    begun, run = Begun(), FlowRun.model_construct(id=uuid4())

    async def refuse(_run: Any) -> bool:
        if answer == "broken":
            raise ConnectionError
        return answer == "refused"

    found = await refusing(begun.start, refuse)(run, None)
    assert (found.status_code, begun) == (0, [] if answer == "refused" else [str(run.id)])


def test_people_are_told_of_ten_refusals_of_a_service_an_hour() -> None:
    """Who asks for a thousand releases fills neither the outbox nor their channels; another service is told of all the same."""
    name = service()
    turns = [turn_to_tell(name, at=float(second)) for second in range(1_000)]
    assert turns == [*range(1, TOLD_AN_HOUR + 1), *[0] * (1_000 - TOLD_AN_HOUR)]
    assert turn_to_tell(service(), at=1_000.0) == 1
    assert turn_to_tell(name, at=3_600.0) == TOLD_AN_HOUR
