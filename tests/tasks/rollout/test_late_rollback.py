"""The rollback that an observation requests: it counts only once it has begun, whatever others do to its runs before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle import asking
from tasks.lifecycle.observed import begin_observed, read_observed, replace_observed
from tasks.record.kept_entries import keep_entry
from tasks.rollout import late_rollback
from tasks.rollout.late_rollback import MOST_ASKED, pursue_rollbacks, request_rollback
from tasks.rules.lifecycle.observed import Observed
from tasks.rules.lifecycle.observed_looks import MOST_REFUSED
from tasks.rules.record.entries import chain
from tests.rules.lifecycle.test_observed import begun
from tests.tasks.lifecycle.test_keys_others_cannot_know import DEPLOYMENT, Server, Thing, run

pytestmark = pytest.mark.usefixtures("offline")
SHOP = "shop"
WANTED: dict[str, Any] = {
    "plan": "plan.yaml", "environment": "production", "bad": "1.1", "version": "", "restored": [], "plan_as_it_is": False
}  # fmt: skip
CHANGED: list[tuple[str, Any]] = [
    ("plan", "/home/eve/plan.yaml"), ("environment", "staging"), ("bad", "1.0"), ("version", "1.1"), ("version", "6.6"),
    ("restored", ["drop-old-column"]), ("plan_as_it_is", True),
]  # fmt: skip


@pytest.fixture(autouse=True)
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give a server without runs, and a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    found = Server()
    monkeypatch.setattr(late_rollback, "get_client", lambda: found)
    return found


async def requested() -> Observed:
    """Observe a version, whose rollback is requested."""
    since = datetime.now(UTC) - timedelta(minutes=20)
    found = begun().model_copy(update={"since": since, "due": since, "until": since + timedelta(hours=2)})
    begin_observed(SHOP, found, release="r1", since=since)
    made = await request_rollback.fn(found, reason="it fails")
    assert replace_observed(SHOP, found, found.model_copy(update={"rollback": made.run, "asked": made.asked, "reason": "it fails"}))
    return kept()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give how the records of rollbacks end, by run; they are not in a storage here."""
    found = dict[str, str]()

    async def closing_entry(run: str) -> Any:
        evidence = {"outcome": found[run]}
        return chain(None, at=datetime.now(UTC), who="x", what="x", kind="closed", evidence=evidence) if found[run] else None

    monkeypatch.setattr(late_rollback, "closing_entry", closing_entry)
    return found


def close(rollback: str, outcome: str, ends: dict[str, str]) -> None:
    """Let a rollback close its record; "" if its end was removed."""
    ends[rollback] = outcome
    keep_head(rollback, Head(2, "h", closed=True))


def kept() -> Observed:
    """Read what is kept."""
    found = read_observed(SHOP)
    assert found is not None
    return found


async def begin(rollback: str, **changes: Any) -> None:
    """Let a run open its record, with these parameters."""
    evidence = {**WANTED, **changes}
    await keep_entry(rollback, chain(None, at=datetime.now(UTC), who="x", what="x", kind="opened", evidence=evidence))
    keep_head(rollback, Head(1, "h", closed=False))


async def test_a_rollback_is_requested_once_while_its_run_waits_or_works(api: Server) -> None:
    """By name of the version, so that another one that was released meanwhile stays; and no look is due meanwhile."""
    one = await requested()
    for state in ("SCHEDULED", "PENDING", "RUNNING"):
        next(iter(api.runs.values())).state_type = Thing(value=state)
        assert await pursue_rollbacks.fn() == []
    (made,) = api.runs.values()
    assert made.parameters == {**WANTED, "reason": "it fails", "requester": "observation of r1"}
    assert (kept(), one.is_due(datetime.now(UTC) + timedelta(days=1))) == (one, False)


@pytest.mark.parametrize("outcome", ["rolled_back", "failed", ""])
async def test_the_observation_ends_with_the_rollback(api: Server, ends: dict[str, str], outcome: str) -> None:
    """Once it has opened its record the keeper brings it to its end, and no other one is requested, however long that takes."""
    one = await requested()
    await begin(one.rollback)
    (run,) = api.runs.values()
    run.state_type, run.created = Thing(value="COMPLETED"), datetime.now(UTC) - timedelta(hours=1)
    assert (await pursue_rollbacks.fn(), len(api.runs), kept()) == ([], 1, one)
    close(one.rollback, outcome, ends)
    assert await pursue_rollbacks.fn() == [one.rollback]
    assert kept().ended == f"its rollback {one.rollback} was carried out"
    assert (await pursue_rollbacks.fn(), len(api.runs)) == ([], 1)


async def test_a_rollback_that_was_refused_is_requested_again_by_a_later_look(api: Server, ends: dict[str, str]) -> None:
    """A few times, at the pace of the looks; then people are told that it is not rolled back."""
    one = await requested()
    for number in range(1, MOST_REFUSED + 1):
        await begin(one.rollback)
        close(one.rollback, "refused", ends)
        assert await pursue_rollbacks.fn() == [one.rollback]
        assert (kept().refused, len(api.runs)) == (number, number)
        if number < MOST_REFUSED:
            assert (kept().rollback, kept().ended, await pursue_rollbacks.fn()) == ("", "", [])
            again = await request_rollback.fn(kept(), reason="it fails")
            assert replace_observed(SHOP, kept(), kept().model_copy(update={"rollback": again.run, "asked": again.asked}))
            assert again.run != one.rollback
            one = kept()
    assert "was refused 3 times" in kept().ended
    assert "is not rolled back" in kept().untold


async def test_a_storage_that_hangs_keeps_no_other_rollback_from_its_turn(api: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """How the one ended is asked again in the next turn."""

    async def hang(_: str) -> None:
        await asyncio.sleep(3600)

    one = await requested()
    begin_observed("till", one.model_copy(update={"release": "r2", "rollback": "lost"}), release="r2", since=one.since)
    await begin(one.rollback)
    keep_head(one.rollback, Head(2, "h", closed=True))
    monkeypatch.setattr(late_rollback, "closing_entry", hang)
    monkeypatch.setattr(late_rollback, "END_SECONDS", 0.05)
    async with asyncio.timeout(10):
        assert await pursue_rollbacks.fn() == []
    till = read_observed("till")
    assert (kept(), till is not None and till.rollback) == (one, str(list(api.runs.values())[-1].id))


@pytest.mark.parametrize("state", ["SCHEDULED", "PENDING", "RUNNING"])
async def test_a_run_that_does_not_begin_counts_as_the_rollback_for_minutes_alone(api: Server, state: str) -> None:
    """Whoever has the API's password can say that it runs, or put it into a queue that no worker takes."""
    await requested()
    (run,) = api.runs.values()
    run.state_type = Thing(value=state)
    for minutes, runs in ((9, 1), (11, 2)):
        run.created = datetime.now(UTC) - timedelta(minutes=minutes)
        await pursue_rollbacks.fn()
        assert len(api.runs) == runs
    assert kept().rollback == str(list(api.runs.values())[-1].id)


@pytest.mark.parametrize(("name", "value"), CHANGED)
async def test_a_run_with_another_parameter_is_not_the_rollback(api: Server, ends: dict[str, str], name: str, value: Any) -> None:
    """Neither before it begins nor once it was refused: it would leave the bad version, or cross a migration."""
    one = await requested()
    (run,) = api.runs.values()
    run.parameters[name] = value
    await pursue_rollbacks.fn()
    assert (len(api.runs), kept().rollback != one.rollback, kept().asked) == (2, True, 1)
    second = kept().rollback
    await begin(second, **{name: value})
    list(api.runs.values())[-1].state_type = Thing(value="COMPLETED")
    close(second, "refused", ends)
    await pursue_rollbacks.fn()
    assert (len(api.runs), kept().ended, kept().refused, kept().rollback != second) == (3, "", 0, True)


async def test_a_rollback_whose_run_was_deleted_is_requested_again(api: Server) -> None:
    """Else it never comes, while people wait for it."""
    one = await requested()
    api.runs.clear()
    await pursue_rollbacks.fn()
    (made,) = api.runs.values()
    assert (str(made.id), made.parameters["bad"]) == (kept().rollback, "1.1")
    assert kept().rollback != one.rollback


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED", "COMPLETED", "PAUSED"])
async def test_a_rollback_that_ended_before_it_began_is_requested_again(api: Server, state: str) -> None:
    """However often."""
    await requested()
    for number in range(1, 9):
        for one in api.runs.values():
            one.state_type = Thing(value=state)
        await pursue_rollbacks.fn()
        assert (len(api.runs), kept().asked, kept().ended) == (number + 1, number, "")


async def test_a_rollback_whose_parameters_were_changed_is_requested_again(api: Server) -> None:
    """Before it began, or so that it began elsewhere: what is kept says what is asked for."""
    one = await requested()
    next(iter(api.runs.values())).parameters["environment"] = "staging"
    await pursue_rollbacks.fn()
    assert (len(api.runs), kept().asked) == (2, 1)
    await begin(kept().rollback, plan="/home/eve/plan.yaml")
    list(api.runs.values())[-1].state_type = Thing(value="RUNNING")
    list(api.runs.values())[-1].parameters["plan"] = "/home/eve/plan.yaml"
    await pursue_rollbacks.fn()
    assert (len(api.runs), kept().asked, kept().ended) == (3, 2, "")
    assert one.rollback != kept().rollback


async def test_runs_that_others_made_in_its_place_are_passed_over(api: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few at a time, so that the keeper's turn ends."""
    one = await requested()
    monkeypatch.setattr(asking, "secret_name", str)
    for number in range(MOST_ASKED):
        api.runs[f"late-failure-r1-{number}"] = run(DEPLOYMENT, "SCHEDULED", plan="/home/eve/plan.yaml")
    with pytest.raises(Refused, match="by hand"):
        await request_rollback.fn(one, reason="it fails")
    assert await pursue_rollbacks.fn() == []
    assert kept().asked == MOST_ASKED
    await pursue_rollbacks.fn()
    assert str(list(api.runs.values())[-1].id) == kept().rollback
