"""The warm judge: judges in a fork what else takes seconds to import, and is missed by no one where it is not there."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from blocks import processes
from blocks.server import layout
from blocks.server.warm import judge
from tasks.data import expectations
from tasks.data.expectations import judge_tables
from tasks.rules.data.jobs import Job
from tests.waiting import until

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "author"}}
ENDLESS = "SELECT max(author) AS author FROM (WITH RECURSIVE t(author) AS (SELECT 1 UNION ALL SELECT 1 + author FROM t) SELECT * FROM t)"
NOWHERE = "tasks.no_such_program"


def job(source: dict[str, Any], *, timeout_seconds: float = 60) -> Job:
    """Ask whether every row has an author."""
    return Job(name="rows", title="rows", timeout_seconds=timeout_seconds).over(source, {"expectations": [NOT_NULL]}, show=False)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, psutil.Process]]:
    """Give a home in which a judge listens, and its process."""
    home = tmp_path_factory.mktemp("judge")
    layout.make_home(home, port=1, auth=False)
    with subprocess.Popen(judge.command(home, expectations.PROGRAM), env=judge.environment()) as process:
        try:
            yield home, psutil.Process(process.pid)
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture
def home(warm: tuple[Path, psutil.Process], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Live in that home, where no one but the judge could judge."""
    monkeypatch.setenv("SHIPWAY_HOME", str(warm[0]))
    monkeypatch.setattr(expectations, "PROGRAM", NOWHERE)
    return warm[0]


@pytest.mark.slow
async def test_a_table_is_judged_by_a_fork_of_the_warm_judge(home: Path, tmp_path: Path) -> None:
    """Verdict, page and all, by no other program; each job has a fork of its own."""
    await until(layout.judge_socket(home).exists)
    for authors, outcome in ((["ada", "ben"], "passed"), (["ada", None], "failed")):
        (found,) = await judge_tables.fn([job({"rows": {"author": authors}})], release="r1", storage=tmp_path)
        assert (found["outcome"], found["rows"]) == (outcome, 2), found["reason"]
        assert "Great Expectations" in (tmp_path / "records" / "r1" / found["docs"]).read_text()


async def test_a_judgement_that_is_given_up_ends_its_fork(home: Path, warm: tuple[Path, psutil.Process], tmp_path: Path) -> None:
    """A query without an end is not left to run in a process that no one waits for."""
    await until(layout.judge_socket(home).exists)
    database = tmp_path / "shop.db"
    judging = asyncio.create_task(
        judge_tables.fn([job({"url": SecretStr(f"sqlite:///{database}"), "query": ENDLESS})], release="r1", storage=tmp_path)
    )
    await until(warm[1].children)
    await asyncio.sleep(1)
    assert warm[1].children()  # it has no end of its own
    judging.cancel()
    await until(lambda: not warm[1].children())


@pytest.mark.faults
@pytest.mark.parametrize("moment", ["while it imports", "while it judges"])
async def test_a_judge_that_is_killed_costs_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The client finds out, reads its job again, and judges it itself; the judge's fork is gone with it."""
    layout.make_home(tmp_path / "home", port=1, auth=False)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    command = judge.command(tmp_path / "home", expectations.PROGRAM)
    with subprocess.Popen(command, env=judge.environment()) as process:  # noqa: ASYNC220 - it is killed, and waited for, here
        await until(layout.judge_socket(tmp_path / "home").exists)
        judging = asyncio.create_task(judge_tables.fn([job({"rows": {"author": ["ada"]}})], release="r1", storage=tmp_path))
        if moment == "while it judges":
            await until(psutil.Process(process.pid).children)
        (fork,) = psutil.Process(process.pid).children() or [None]
        process.kill()
    (found,) = await judging
    assert found["outcome"] == "passed", found["reason"]
    assert fork is None or not fork.is_running()


@pytest.mark.faults
async def test_without_a_judge_a_table_is_judged_the_ordinary_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home whose judge ended costs seconds, not verdicts."""
    layout.make_home(tmp_path / "home", port=1, auth=False)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    assert not judge.ask_for(tmp_path / "home", expectations.PROGRAM)
    (found,) = await judge_tables.fn([job({"rows": {"author": ["ada"]}})], release="r1", storage=tmp_path)
    assert found["outcome"] == "passed", found["reason"]


@pytest.mark.server
async def test_the_engine_keeps_one_judge_however_many_ask(worker: Any) -> None:
    """It is a process of the engine, and ends with it."""
    assert all(judge.ask_for(worker.home, expectations.PROGRAM) for _ in range(3))
    engine = psutil.Process(processes.recorded(worker.home / "run" / "engine.pid") or 0)

    def judges() -> list[int]:
        return [one.pid for one in engine.children() if "blocks.server.warm.judge" in one.cmdline()]

    await until(judges)
    assert len(judges()) == 1
