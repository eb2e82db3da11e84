"""What is kept of an observation, and the runs that the keeper asks for: one for each look, whatever happens to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle import observed
from tasks.lifecycle.observed import (
    FOLDER,
    MOST_ASKED,
    MOST_AT_ONCE,
    begin_observed,
    find_observed,
    read_observed,
    replace_observed,
    start_due_looks,
)
from tasks.notify import tell_unobserved, unobserved
from tasks.rules.lifecycle.observed import Observed
from tasks.rules.lifecycle.observed_looks import put_off
from tests.rules.lifecycle.test_observed import begun
from tests.tasks.lifecycle.test_keys_others_cannot_know import Server, Thing

pytestmark = pytest.mark.usefixtures("offline")
SHOP = "shop"


@pytest.fixture(autouse=True)
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Give a server without runs, and a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    found = Server()
    monkeypatch.setattr(observed, "get_client", lambda: found)
    return found


def deployed(release: str = "r1", *, minutes_ago: float = 20, **changes: Any) -> Observed:
    """Begin to observe a release that was deployed so long ago."""
    since = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    due = since + timedelta(minutes=15)
    found = begun().model_copy(update={"release": release, "since": since, "due": due, "until": since + timedelta(hours=2), **changes})
    begin_observed(SHOP, found, release=release, since=since)
    return found


def kept() -> Observed:
    """Read what is kept."""
    found = read_observed(SHOP)
    assert found is not None
    return found


def end_all(api: Server, state: str) -> None:
    """End all runs."""
    for one in api.runs.values():
        one.state_type = Thing(value=state)


async def test_a_look_that_is_due_has_one_run_however_often_the_keeper_comes(api: Server) -> None:
    """And the next one has another."""
    first = deployed()
    runs = [await start_due_looks.fn() for _ in range(3)]
    assert (len(api.runs), runs[0]) == (1, runs[2])
    assert not any("observe" in key or "r1" in key for key in api.runs), "others could make it before"
    assert [one.parameters for one in api.runs.values()] == [{"release": "r1"}]
    end_all(api, "COMPLETED")
    assert replace_observed(SHOP, first, first.model_copy(update={"number": 2, "due": datetime.now(UTC) + timedelta(minutes=5)}))
    assert await start_due_looks.fn() == []
    second = kept()
    assert replace_observed(SHOP, second, second.model_copy(update={"due": datetime.now(UTC)}))
    assert len(await start_due_looks.fn()) == 1
    assert len(api.runs) == 2


async def test_nothing_is_started_that_is_not_due_or_over(api: Server) -> None:
    """Nor is the server asked."""
    deployed("r1", minutes_ago=5)
    assert await start_due_looks.fn() == []
    deployed("r2", minutes_ago=1, ended="its time is over", due=datetime.now(UTC))
    assert (await start_due_looks.fn(), api.runs) == ([], {})


async def test_a_look_whose_run_was_lost_is_asked_for_again_but_not_for_ever(api: Server) -> None:
    """By then something else is wrong; the next one is due after the usual time."""
    before = deployed()
    for number in range(MOST_ASKED):
        assert len(await start_due_looks.fn()) == 1
        assert len(api.runs) == number + 1
        end_all(api, "CRASHED")
    assert await start_due_looks.fn() == []
    assert (kept().number, kept().looks) == (2, 0)
    assert kept().due - datetime.now(UTC) > before.pause - timedelta(minutes=1)
    assert await start_due_looks.fn() == []


async def test_looks_that_are_lost_one_after_another_are_told_once_and_at_the_end(api: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has the API's password can cancel each run before it looks: no failure would be seen, and no one would know."""
    told = list[dict[str, Any]]()

    async def notify(_: Any, facts: Any, **said: Any) -> None:
        told.append({"facts": facts, **said})

    monkeypatch.setattr(unobserved, "notify", notify)
    deployed(minutes_ago=130)
    monkeypatch.setattr(observed, "ask_for_run", lost)
    at = datetime.now(UTC) - timedelta(minutes=100)
    monkeypatch.setattr(observed, "now", lambda: at)
    while not kept().ended:
        at = kept().due
        assert await start_due_looks.fn() == []
        for _ in range(2):
            await tell_unobserved.fn()
    assert [one["facts"] for one in told] == [["unobserved"]] * 2
    assert ["so that no failure of it would be seen; the runs" in one["reason"] for one in told] == [True, False]
    assert told[1]["reason"].startswith("its time is over, and the last look could not be made: the runs of its look were lost")
    assert (kept().untold, told[1]["run"], api.runs) == ("", kept().release, {})
    assert "`shipway rollback plan.yaml --bad 1.1 --reason …`" in told[1]["to_do"]


async def lost(*_: Any, **__: Any) -> tuple[Any, bool]:
    """Ask for a run that others cancel."""
    return Thing(id="x"), False


async def test_a_service_that_cannot_be_read_keeps_no_other_from_its_look(api: Server) -> None:
    """As after a restore."""
    deployed()
    kept_path(FOLDER, "another").write_bytes(b"x")
    assert len(await start_due_looks.fn()) == 1
    assert len(api.runs) == 1


def test_a_newer_release_takes_the_place_of_what_was_observed() -> None:
    """Also one whose plan asks for no observation; but a run that is ended again changes nothing."""
    old, new = deployed("r1", minutes_ago=60), deployed("r2", minutes_ago=5)
    assert kept() == new
    begin_observed(SHOP, old, release="r1", since=old.since)
    begin_observed(SHOP, new.model_copy(update={"number": 1}), release="r2", since=new.since)
    begin_observed(SHOP, None, release="r1", since=old.since)
    assert kept() == new
    assert (find_observed("r1"), find_observed("r2")) == (("", None), (SHOP, new))
    begin_observed(SHOP, None, release="r3", since=datetime.now(UTC))
    assert read_observed(SHOP) is None


def test_what_a_look_found_counts_only_if_nothing_else_was_kept_meanwhile() -> None:
    """Two looks at once are one look."""
    before = deployed()
    after = put_off(before, at=datetime.now(UTC), why="x")
    assert replace_observed(SHOP, before, after)
    assert not replace_observed(SHOP, before, after.model_copy(update={"number": 9}))
    assert kept() == after


def test_what_was_written_by_others_is_refused_and_replaced_by_the_next_release() -> None:
    """It would decide where a look goes."""
    deployed("r1")
    kept_path(FOLDER, SHOP).write_bytes(b'{"release": "r9"}')
    with pytest.raises(Refused):
        read_observed(SHOP)
    assert deployed("r2") == kept()


async def test_of_many_looks_that_are_due_a_few_are_under_way_at_once(api: Server) -> None:
    """The most overdue first; their queue, which is that of rollbacks, has no limit."""
    one = deployed()
    for number in range(MOST_AT_ONCE + 2):
        later = one.model_copy(update={"release": f"late-{number}", "due": one.due + timedelta(seconds=1 + number)})
        begin_observed(f"service-{number}", later, release=later.release, since=later.since)
    assert len(await start_due_looks.fn()) == MOST_AT_ONCE
    asked = [run.parameters["release"] for run in api.runs.values()]
    assert asked == ["r1", *(f"late-{number}" for number in range(MOST_AT_ONCE - 1))]


async def test_a_run_that_only_says_that_it_looks_is_taken_for_the_look_for_minutes_alone(api: Server) -> None:
    """Whoever has the API's password can set a run to Running and take its tags away: no look would ever follow, nor an end."""
    deployed()
    await start_due_looks.fn()
    end_all(api, "RUNNING")
    (one,) = api.runs.values()
    for minutes, runs in ((9, 1), (11, 2)):
        one.created = datetime.now(UTC) - timedelta(minutes=minutes)
        assert len(await start_due_looks.fn()) == 1
        assert len(api.runs) == runs


def test_what_was_deployed_while_the_clock_was_ahead_does_not_keep_the_next_release_from_being_observed() -> None:
    """Nor is its own next look due a day later."""
    ahead = deployed("r1", minutes_ago=-24 * 60)
    assert ahead.is_due(datetime.now(UTC))
    assert deployed("r2", minutes_ago=1) == kept()
