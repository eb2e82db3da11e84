"""Whose turn it is in a group of services: one at a time, kept beside the key; a holder that is over blocks none."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.kept_runs import forget_open, keep_open
from tasks.lifecycle.window_turns import FOLDER, Other, give_turns, take_turns

A, B, C = "a-run", "b-run", "c-run"


@pytest.fixture(autouse=True)
async def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    for run in (A, B, C):
        await keep_open(run)


async def take(run: str, *groups: str) -> Other | None:
    """Take turns, `db` if none is named."""
    return await take_turns(groups or ("db",), run=run, what=f"release shop of {run}")


async def test_the_second_waits_and_says_behind_whom() -> None:
    """Each may ask again; the turn of another group is another."""
    assert await take(A) is None
    assert await take(A) is None
    other = await take(B)
    assert other is not None
    assert other.group == "db"
    assert other.why.startswith("release shop of a-run (")
    assert await take(B, "mail") is None


async def test_the_second_goes_on_when_the_first_gives_its_turn_up_or_is_over() -> None:
    """What wakes it changes at that moment, and not before."""
    for end in (give_turns, forget_open):
        await keep_open(A)
        assert await take(A) is None
        other = await take(B)
        assert other is not None
        name, _, then = other.held.partition(" ")
        assert what_holds(name) == then
        await end(A)
        assert what_holds(name) not in {then, ""}
        assert await take(B) is None
        await give_turns(B)


async def test_a_holder_whose_record_is_closed_blocks_none_though_it_is_listed_as_open() -> None:
    """A file that could not be removed when the record was closed."""
    assert await take(A) is None
    keep_head(A, Head(3, "0" * 64))
    assert await take(B) is not None
    keep_head(A, Head(4, "1" * 64, closed=True))
    assert await take(B) is None


async def test_who_waits_for_one_group_holds_up_no_other() -> None:
    """All turns or none."""
    assert await take(A, "mail") is None
    assert (await take(B, "db", "mail")) is not None
    assert await take(C, "db") is None


async def test_a_turn_that_cannot_be_read_is_not_taken() -> None:
    """Nor given up by another: the release waits, and says which file it is."""
    assert await take(A) is None
    (path,) = kept_path(FOLDER, "x").parent.glob("*.kept")
    path.write_bytes(b"not ours")
    other = await take(B)
    assert other is not None
    assert str(path) in other.why
    assert "remove the file" in other.why
    await give_turns(A)
    assert path.exists()
    path.unlink()
    assert what_holds(other.held.partition(" ")[0]) != other.held.partition(" ")[2]
    assert await take(B) is None


async def test_of_many_that_ask_at_once_one_gets_the_turn() -> None:
    """In threads here, as in processes: the lock is the file's."""
    runs = [f"run-{number}" for number in range(16)]
    for run in runs:
        await keep_open(run)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda run: asyncio.run(take(run)), runs))
    assert found.count(None) == 1
