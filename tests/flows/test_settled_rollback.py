"""A rollback that has begun is finished when it is settled, whatever became of its run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.states import Completed

from blocks.errors import BadInput
from blocks.outside_text import as_name, as_reason
from flows import rollback, settle
from tasks.lifecycle.asked import AskedFor, what_was_asked
from tasks.record import journal, store
from tasks.record.without_key import rolling_back
from tests.flows.test_rollback_by_record import RUN, asked_for, lose_records, storage
from tests.tasks.conftest import offline

__all__ = ["offline", "storage"]
pytestmark = pytest.mark.usefixtures("offline")
PLAN = "/srv/plan.yaml"
Told = list[dict[str, Any]]


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Let rollbacks end at once, and say what they were about."""
    done: Told = []

    async def to_the_end(run: str, asked: rollback.RollbackRequest) -> Any:
        done.append({"run": run, "plan": asked.plan, "environment": asked.environment, "restored": list(asked.restored)})
        return Completed(name="RolledBack")

    monkeypatch.setattr(rollback, "_to_the_end", to_the_end)
    return done


def stand_in(monkeypatch: pytest.MonkeyPatch, asked: AskedFor, *, again: bool = False, is_idle: bool = False) -> list[bool]:
    """Let the server say this of the run; gives whether it was settled as a release would be."""
    finalized: list[bool] = []

    async def give(*_: Any, **__: Any) -> Any:
        return asked

    async def no(*_: Any, **__: Any) -> bool:
        return False

    async def try_again(*_: Any, **__: Any) -> bool:
        return again

    async def finalize(*_: Any, on_demand: bool, **__: Any) -> Any:
        finalized.append(on_demand)
        return Completed()

    async def forget_idle(*_: Any, **__: Any) -> bool:
        return is_idle

    stand_ins = {
        "forget_idle": forget_idle,
        "what_was_asked": give,
        "lives": no,
        "end_as": no,
        "let_go": no,
        "forget_unbegun": no,
        "try_again": try_again,
    }
    for name, value in {**stand_ins, "finalize": finalize}.items():
        monkeypatch.setattr(settle, name, value)
    return finalized


WORDS: dict[str, Any] = {"reason": as_reason("x"), "requester": as_name("rita")}
FAIR: dict[str, Any] = {"plan": PLAN, "environment": "production", "reason": "x", "requester": "rita"}


@pytest.mark.slow
@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("has_deployment", [False, True])
@pytest.mark.parametrize(
    "parameters",
    [FAIR, {}, {"restored": 5}, {"plan": "/home/eve/plan.yaml", "environment": "staging"}, {"plan": 5, "reason": []}],
    ids=["as they were", "none", "of a wrong type", "another place", "no words"],
)
@pytest.mark.parametrize("flow", ["rollback", "evil"])
async def test_a_rollback_that_has_begun_is_finished_by_its_record(
    monkeypatch: pytest.MonkeyPatch,
    storage: Path,
    finished: Told,
    parameters: dict[str, Any],
    *,
    flow: str,
    has_deployment: bool,
    cancelled: bool,
) -> None:
    """Suspended, cancelled, deleted, without its deployment or with other parameters: each would leave the bad version where it is."""
    with rolling_back():
        await rollback._opened(RUN, asked_for(restored=["m"]))
    lose_records(storage)
    asked = AskedFor(flow, str(parameters.get("plan") or ""), "", "", has_deployment, parameters)
    finalized = stand_in(monkeypatch, asked)
    with rolling_back():
        state = await settle._settled(RUN, reason=as_reason("x"), cancelled=cancelled)
    assert state.name == "Settled"
    assert finished == [{"run": RUN, "plan": PLAN, "environment": "production", "restored": ["m"]}]
    assert finalized == []
    await rollback.finish(RUN, parameters)  # as the hook of its cancellation does
    assert finished[1] == finished[0]


@pytest.mark.usefixtures("storage")
async def test_one_that_failed_is_tried_again_first(monkeypatch: pytest.MonkeyPatch, finished: Told) -> None:
    """Its worker has the environment that it was deployed with."""
    with rolling_back():
        await rollback._opened(RUN, asked_for())
    stand_in(monkeypatch, AskedFor("rollback", PLAN, "", "", parameters=FAIR), again=True)
    await settle._settled(RUN, reason=as_reason("x"), cancelled=False)
    assert finished == []


@pytest.mark.usefixtures("storage")
async def test_one_whose_parameters_others_broke_is_finished_at_once(monkeypatch: pytest.MonkeyPatch, finished: Told) -> None:
    """Each new try would fail before its first line."""
    with rolling_back():
        await rollback._opened(RUN, asked_for())
    stand_in(monkeypatch, AskedFor("rollback", PLAN, "", "", parameters=FAIR | {"restored": 5}), again=True)
    await settle._settled(RUN, reason=as_reason("x"), cancelled=False)
    assert [one["plan"] for one in finished] == [PLAN]


@pytest.mark.usefixtures("storage")
async def test_one_without_any_first_entry_goes_by_valid_parameters_only(finished: Told) -> None:
    """They are the API's, and what is not valid there never begins."""
    await rollback.finish("run-2", FAIR)
    assert [one["plan"] for one in finished] == [PLAN]
    for parameters in ({}, {"plan": PLAN, "reason": "x", "restored": 5}, {**FAIR, "environment": "no such"}):
        with pytest.raises(BadInput, match="has no record"):
            await rollback.finish("run-2", parameters)


@pytest.mark.usefixtures("storage", "finished")
async def test_a_release_is_finalized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever flow the server names for its run."""
    await journal.append_entry(RUN, "Asked", kind="opened", evidence={"flow": "release", "plan": PLAN, "version": "1"})
    finalized = stand_in(monkeypatch, AskedFor("rollback", PLAN, "1", "", parameters=FAIR), again=True)
    await settle._settled(RUN, reason=as_reason("x"), cancelled=False)
    assert finalized == [False]
    store._tails.clear()


@pytest.mark.usefixtures("storage")
async def test_one_that_says_nowhere_what_was_asked_is_closed(monkeypatch: pytest.MonkeyPatch, finished: Told) -> None:
    """It chose nothing; the keeper must not come for ever."""
    finalized = stand_in(monkeypatch, AskedFor("rollback", "", "", "", parameters={"restored": 5}))
    await settle._settled("run-3", reason=as_reason("x"), cancelled=False)
    assert (finished, finalized) == ([], [True])


@pytest.mark.usefixtures("storage", "finished")
@pytest.mark.parametrize("is_idle", [True, False], ids=["moves nothing", "began here"])
async def test_a_run_of_another_flow_is_left_alone_unless_it_began_here(monkeypatch: pytest.MonkeyPatch, *, is_idle: bool) -> None:
    """Without its first entry its flow is the server's word: a release may run under any name. It is settled once."""
    finalized = stand_in(monkeypatch, AskedFor("evil", PLAN, "1", ""), is_idle=is_idle)
    state = await settle._settled("run-4", reason=as_reason("x"), cancelled=False)
    assert (state.name, finalized) == ("Settled", [] if is_idle else [False])


@pytest.mark.usefixtures("offline")
async def test_the_flow_of_a_run_is_that_of_its_deployment_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's name of a flow counts only for a deployment that was not made here."""

    class Client:
        """A server on which the flow has another name."""

        async def read_flow_run(self, _: object) -> Any:
            """Give the run."""
            return SimpleNamespace(deployment_id="d1", flow_id="f1", parameters={}, state=None)

        async def read_flow(self, _: object) -> Any:
            """Give its flow."""
            return SimpleNamespace(name="evil")

    monkeypatch.setattr("tasks.lifecycle.asked.get_client", lambda: nullcontext(Client()))
    monkeypatch.setattr("tasks.lifecycle.asked.known_entry_point", {"d1": "flows.release.release"}.get)
    run_id = "00000000-0000-0000-0000-000000000001"
    assert (await what_was_asked.fn(run_id, told={})).flow == "release"
    monkeypatch.setattr("tasks.lifecycle.asked.known_entry_point", lambda _: "")
    assert (await what_was_asked.fn(run_id, told={})).flow == "evil"
