"""Child runs: a parent believes what its own children wrote, and nothing that someone with the API's password says of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.flow_engine import run_flow
from prefect.states import AwaitingRetry

import tasks.record.storage  # noqa: F401 - the results are sealed from here on

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]
called: list[str] = []


@flow(name="remembered child", persist_result=True, result_serializer="json")
async def remembered(version: str, release: str) -> str:
    """Give a result that is persisted."""
    called.append(version)
    return f"{release} found {version}"


@flow(name="converging child", persist_result=False)
async def converging(version: str, release: str) -> str:
    """Give a result that is not persisted, as a rollback does."""
    return await remembered.fn(version, release)


CHILDREN = {"remembered": remembered, "converging": converging}


@flow(name="parent of children", persist_result=True, result_serializer="json")
async def parent(child: str, version: str, release: str) -> str:
    """Call a child."""
    return await CHILDREN[child](version=version, release=release)


async def begin(child: str, version: str) -> tuple[FlowRun, dict[str, Any]]:
    """Create a run of the parent."""
    parameters = {"child": child, "version": version, "release": str(uuid4())}
    async with get_client() as client:
        return await client.create_flow_run(parent, parameters=parameters), parameters


async def attempt(run: FlowRun, parameters: dict[str, Any]) -> Any:
    """Run it, and give its result."""
    async with get_client() as client:
        found = await client.read_flow_run(run.id)
        if found.state is not None and found.state.is_final():
            await client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
        fresh = await client.read_flow_run(run.id)
    ended: Any = run_flow(parent, flow_run=fresh, parameters=parameters, return_type="state")
    state = await ended
    return await state.aresult(raise_on_failure=False)


async def child_of(run: FlowRun) -> tuple[FlowRun, TaskRun]:
    """Read the only child of a run, and the task run that stands for it."""
    from prefect.client.schemas.filters import FlowRunFilter  # noqa: PLC0415

    async with get_client() as client:
        chosen: Any = {"parent_flow_run_id": {"any_": [run.id]}}
        (found,) = await client.read_flow_runs(flow_run_filter=FlowRunFilter(**chosen))
        assert found.parent_task_run_id is not None
        return found, await client.read_task_run(found.parent_task_run_id)


async def say_of(child: FlowRun, *, data: Any = None, details: dict[str, Any] | None = None) -> None:
    """Set states of a run and of its task run past Prefect's client, which leaves such data out; the server stores what it is given."""
    async with get_client() as client:
        http: Any = client._client
        said = {"data": data, "state_details": details or {}}
        for path, more in ((f"/flow_runs/{child.id}", said), (f"/task_runs/{child.parent_task_run_id}", {})):
            for kind in ("FAILED", "COMPLETED"):  # a completed one takes no other completed state
                (await http.post(f"{path}/set_state", json={"state": {"type": kind, **more}, "force": True})).raise_for_status()
        stored = (await client.read_flow_run(child.id)).state
    assert stored is not None
    assert (stored.name, getattr(stored.data, "storage_key", stored.data)) == (
        "Completed",
        data["storage_key"] if isinstance(data, dict) else data,
    )


async def forgeries() -> list[dict[str, Any]]:
    """List what can be said of a child: a result in the state itself, none, and that of another release's child, also as if a task's."""
    other, parameters = await begin("remembered", "9.9")
    assert await attempt(other, parameters) == f"{parameters['release']} found 9.9"
    theirs, _ = await child_of(other)
    assert theirs.state is not None
    data = theirs.state.data.model_dump(mode="json")
    as_a_task = {"task_run_id": str(uuid4()), "flow_run_id": str(theirs.id)}
    return [{"data": "forged"}, {"data": None}, {"data": data}, {"data": data, "details": as_a_task}]


@pytest.mark.slow
@pytest.mark.parametrize("child", CHILDREN)
async def test_a_childs_state_does_not_say_what_it_found(child: str) -> None:
    """The parent is put back to work with a completed child of which others say something: the child is called again."""
    for number, forged in enumerate(await forgeries()):
        run, parameters = await begin(child, f"1.{number}")
        right = await attempt(run, parameters)
        mine, _ = await child_of(run)
        await say_of(mine, **forged)
        called.clear()
        assert await attempt(run, parameters) == right, forged
        assert called == [parameters["version"]], forged


@pytest.mark.slow
@pytest.mark.parametrize("child", CHILDREN)
async def test_a_child_that_was_there_before_it_was_called_is_not_believed(child: str) -> None:
    """A completed child under a completed task run, made before the parent comes to it; so a rollback could be made to look done."""
    known, parameters = await begin(child, "1.0")
    await attempt(known, parameters)
    _, task_run = await child_of(known)
    for number, forged in enumerate(await forgeries()):
        run, parameters = await begin(child, f"2.{number}")
        async with get_client() as client:
            http: Any = client._client
            asked = {"flow_run_id": str(run.id), "task_key": task_run.task_key, "dynamic_key": task_run.dynamic_key, "name": "x"}
            made = await http.post("/task_runs/", json={**asked, "state": {"type": "COMPLETED"}})
            made.raise_for_status()
            stranger = await client.create_flow_run(CHILDREN[child], parent_task_run_id=UUID(made.json()["id"]))
        await say_of(stranger, **forged)
        called.clear()
        assert await attempt(run, parameters) == f"{parameters['release']} found 2.{number}", forged
        assert called == [f"2.{number}"], forged


@pytest.mark.slow
async def test_a_child_that_the_parent_called_is_not_called_again() -> None:
    """What the attacks are compared with: its result is remembered."""
    run, parameters = await begin("remembered", "3.0")
    right = await attempt(run, parameters)
    called.clear()
    assert (await attempt(run, parameters), called) == (right, [])


@pytest.mark.slow
async def test_a_child_is_believed_for_what_it_was_called_with() -> None:
    """The same parent calls it for another version: the first result is not that one's."""
    run, parameters = await begin("remembered", "4.0")
    await attempt(run, parameters)
    called.clear()
    assert await attempt(run, {**parameters, "version": "4.1"}) == f"{parameters['release']} found 4.1"
    assert called == ["4.1"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PAUSED", "SCHEDULED", "CANCELLING"])
async def test_a_child_that_others_let_wait_is_called_again(kind: str) -> None:
    """Prefect would let its parent wait with it, and the keeper would start that again for ever."""
    run, parameters = await begin("remembered", "5.0")
    right = await attempt(run, parameters)
    mine, _ = await child_of(run)
    state = {"type": kind, "state_details": {"pause_reschedule": True, "pause_timeout": "2099-01-01T00:00:00Z"}}
    async with get_client() as client:
        http: Any = client._client
        for path, said in ((f"/flow_runs/{mine.id}", state), (f"/task_runs/{mine.parent_task_run_id}", {"type": "RUNNING"})):
            (await http.post(f"{path}/set_state", json={"state": said, "force": True})).raise_for_status()
    called.clear()
    assert (await attempt(run, parameters), called) == (right, ["5.0"])
