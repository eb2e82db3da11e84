"""Retention carried out: on records of a folder, and on a server that is played."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import pytest
from prefect.exceptions import ObjectNotFound

from blocks.errors import Refused
from blocks.key_folder.heads import read_head
from blocks.key_folder.kept_files import write_kept
from blocks.key_folder.key_file import key_path
from blocks.key_folder.retention_file import retention_path
from blocks.server import deployed
from tasks.lifecycle.kept_runs import keep_open
from tasks.lifecycle.lock import OPEN
from tasks.record import deployed as deployed_runs
from tasks.record import kept_clock
from tasks.record.deployed import find_deployed, find_last_deployed
from tasks.record.facts import all_facts, facts_of_runs
from tasks.record.kept_index import keep_run
from tasks.record.reading import read_record
from tasks.record.retention_run import carry_out
from tasks.record.without_key import rolling_back
from tasks.rules.rollout.deployed import places_of
from tasks.rules.rollout.migrations import Here
from tests.tasks.record.test_facts import ended

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=500)
FILE = "retention: 1\nrecords_days: 400\nruns_days: 90\nartifacts_days: 60\nversions: 2\n"


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key folder that no other test uses, with the file, and a deployment that is ours."""
    key = tmp_path / "keys" / "approvals.key"
    key.parent.mkdir()
    key.write_bytes(key_path().read_bytes())
    key.chmod(0o600)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(key))
    monkeypatch.setattr(deployed, "known", lambda: {str(OURS): {}})
    retention_path().write_text(FILE)


OURS = uuid4()


class Server:
    """A server with runs of a deployment, their phases and artifacts."""

    def __init__(self) -> None:
        """Have nothing."""
        self.runs: dict[UUID, Any] = {}
        self.artifacts: dict[UUID, Any] = {}

    def add(self, *, days: float, above: UUID | None = None, tags: tuple[str, ...] = (), key: str = "", open_: bool = False) -> UUID:
        """Add a run that ended so long ago, with an artifact if a key is given."""
        run = SimpleNamespace(id=uuid4(), name="r", created=NOW - timedelta(days=days), tags=[*tags], above=above)
        run.end_time = None if open_ else run.created
        self.runs[run.id] = run
        if key:
            artifact = SimpleNamespace(id=uuid4(), key=key, type="markdown", flow_run_id=run.id, latest_id=None)
            artifact.latest_id = artifact.id
            self.artifacts[artifact.id] = artifact
        return run.id

    async def read_flow_run(self, run: UUID) -> Any:
        """Give a run."""
        if run not in self.runs:
            raise ObjectNotFound(Exception())
        return self.runs[run]

    async def read_flow_runs(self, *, flow_run_filter: Any, limit: int, offset: int = 0, **_: Any) -> list[Any]:
        """Filter as the three questions do that are asked here."""
        chosen = flow_run_filter
        if chosen.tags:
            found = [run for run in self.runs.values() if set(chosen.tags.all_) <= {*run.tags}]
        elif chosen.parent_flow_run_id:
            found = [run for run in self.runs.values() if run.above in chosen.parent_flow_run_id.any_]
        else:
            assert chosen.deployment_id.any_ == [OURS]
            found = [run for run in self.runs.values() if run.end_time and run.end_time <= chosen.end_time.before_ and run.above is None]
        return found[offset : offset + limit]

    async def read_artifacts(self, *, artifact_filter: Any, limit: int, offset: int, **_: Any) -> list[Any]:
        """Give the artifacts of runs."""
        found = [one for one in self.artifacts.values() if one.flow_run_id in artifact_filter.flow_run_id.any_]
        return found[offset : offset + limit]

    async def read_latest_artifacts(self, *, artifact_filter: Any, **_: Any) -> list[Any]:
        """Give those of some artifacts that are the newest of their name."""
        newest = {one.key: one for one in self.artifacts.values()}
        return [one for one in newest.values() if one.id in artifact_filter.latest_id.any_]

    async def delete_flow_run(self, run: UUID) -> None:
        """Delete a run, once."""
        if self.runs.pop(run, None) is None:
            raise ObjectNotFound(Exception())

    async def delete_artifact(self, artifact: UUID) -> None:
        """Delete an artifact."""
        del self.artifacts[artifact]


def believe(now: datetime) -> None:
    """Keep that the clock was right before."""
    write_kept(*kept_clock.KEPT, {"last": {"at": now.isoformat(), "boot": "", "up_seconds": 0}}, what="")


async def carried(storage: Path, server: Server | None = None, *, now: datetime = NOW, dry_run: bool = False) -> Any:
    """Carry it out; the clock said the same before."""
    believe(now)
    played: Any = server or Server()
    return await carry_out(played, storage, now=now, dry_run=dry_run)


async def test_a_dry_run_lists_exactly_what_is_removed_then(tmp_path: Path) -> None:
    """And changes nothing; again nothing is left to remove."""
    server = Server()
    run = server.add(days=100)
    server.add(days=100, above=run)
    server.add(days=20)
    await ended(tmp_path, "r1")
    dry = await carried(tmp_path, server, now=NOW, dry_run=True)
    assert (len(server.runs), [one.kind for one in dry.removed]) == (3, ["run", "run"])
    assert (await carried(tmp_path, server)).removed == dry.removed
    assert (len(server.runs), run in server.runs) == (1, False)
    assert (await carried(tmp_path, server)).removed == ()


async def test_every_phase_of_a_run_goes_before_it_however_many_there_are(tmp_path: Path) -> None:
    """Else they would be runs of their own that no deployment names, and stay for ever."""
    server = Server()
    run = server.add(days=100)
    phases = [server.add(days=100, above=run) for _ in range(130)]
    server.add(days=100, above=phases[-1])
    kept = await carried(tmp_path, server)
    assert (len(kept.removed), kept.removed[-1].name, server.runs) == (132, str(run), {})


async def test_an_old_record_is_removed_and_its_figures_stay(tmp_path: Path) -> None:
    """Its head goes with it: else it would look as if others had taken the record away."""
    await ended(tmp_path, "r1")
    kept = await carried(tmp_path, now=LATER)
    assert [(one.kind, one.name) for one in kept.removed] == [("record", "r1")]
    assert not (tmp_path / "records" / "r1").exists()
    assert list((tmp_path / "removed").iterdir()) == []
    assert read_head("r1") is None
    found = await all_facts(tmp_path)
    assert ([one.run for one in found.facts], found.broken) == (["r1"], {})
    assert (await facts_of_runs(tmp_path, ["r1"], verify=True)).broken == {}, "as the history reads it again"


@pytest.mark.parametrize("how", ["open", "kept open", "changed", "deployed", "contract"])
async def test_a_record_that_is_needed_stays(tmp_path: Path, how: str) -> None:
    """An open one, one that cannot be trusted, and what a rollback reads, whatever their age."""
    await ended(tmp_path, "r1", closed=how != "open")
    if how == "kept open":
        await keep_open("r1")
    if how == "changed":
        (key_path().parent / "facts").rename(key_path().parent / "gone")
    if how in {"deployed", "contract"}:
        await keep_run("deployed" if how == "deployed" else "contracts", "shop", run="r1", version="1.0", place="production")
    assert (await carried(tmp_path, now=LATER)).removed == ()
    assert (tmp_path / "records" / "r1").exists()


async def test_a_version_that_newer_ones_followed_is_not_one_to_return_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file says how many stay. When it came stays known: else a rollback to it would cross each contract, however old."""
    monkeypatch.setattr(deployed_runs, "default_storage", AsyncMock(return_value=tmp_path))
    here = Here("production", "local/shop", "id")
    for number in (1, 2, 3):
        run, at = f"r{number}", f"2026-01-0{number}T00:00:00+00:00"
        await ended(tmp_path, run)
        facts = {"at": at, "outcome": "deployed", "environment": here.environment, "block": here.block, "identity": here.identity}
        for place in places_of(here):
            await keep_run("deployed", "shop", run=run, version=f"1.{number}", place=place, facts=facts)
    assert [one.name for one in (await carried(tmp_path, now=LATER)).removed] == ["r1"]
    with rolling_back():
        assert await find_deployed("shop", version="1.1", here=here) is None
        assert await find_last_deployed("shop", version="1.1", here=here) == datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_record_that_was_removed_and_put_back_without_its_end_is_not_believed(tmp_path: Path) -> None:
    """Its head is gone, but its facts stay. It is removed again."""
    await ended(tmp_path, "r1")
    folder = tmp_path / "records" / "r1"
    shutil.copytree(folder, tmp_path / "copy")
    assert len((await carried(tmp_path, now=LATER)).removed) == 1
    shutil.copytree(tmp_path / "copy", folder)
    assert (await read_record(tmp_path, "r1")).problems == []
    max(folder.glob("*.json")).unlink()
    (problem,) = (await read_record(tmp_path, "r1")).problems
    assert "its end is missing" in problem
    assert len((await carried(tmp_path, now=LATER)).removed) == 1
    assert (await read_record(tmp_path, "r1")).problems == []


async def test_nothing_that_was_made_since_the_oldest_open_run_began_is_removed(tmp_path: Path) -> None:
    """It may be its phase; and an open run that the server does not have leaves everything as it is."""
    server = Server()
    server.add(days=300)
    server.add(days=200, tags=(OPEN,), open_=True)
    server.add(days=100, key="release-shop")
    assert len((await carried(tmp_path, server)).removed) == 1
    await keep_open(str(uuid4()))
    server.add(days=300)
    assert (await carried(tmp_path, server)).removed == ()


async def test_the_newest_artifact_of_a_name_stays_with_its_run(tmp_path: Path) -> None:
    """The older ones go, before their runs."""
    server = Server()
    older, newest = server.add(days=200, key="release-shop"), server.add(days=190, key="release-shop")
    kept = await carried(tmp_path, server)
    assert [one.kind for one in kept.removed] == ["artifact", "run"]
    assert [*server.runs] == [newest]
    assert [one.flow_run_id for one in server.artifacts.values()] == [newest]
    assert older not in server.runs
    assert ("run", "its artifact release-shop is the newest of its name") in kept.stays


async def test_pages_of_reports_go_but_the_newest_of_each_name(tmp_path: Path) -> None:
    """A file of another name is not ours to remove."""
    folder = tmp_path / "reports"
    folder.mkdir()
    for name in ("all-production-2020-01-01.html", "all-production-2020-01-08.html", "notes.html"):
        (folder / name).write_text("x")
    assert [one.name for one in (await carried(tmp_path)).removed] == ["all-production-2020-01-01.html"]
    assert sorted(path.name for path in folder.iterdir()) == ["all-production-2020-01-08.html", "notes.html"]


async def test_without_the_file_all_is_kept_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    """One that others can write, too."""
    server = Server()
    server.add(days=999)
    retention_path().chmod(0o666)
    with pytest.raises(Refused, match="others may change"):
        await carried(tmp_path, server)
    retention_path().unlink()
    retention_path().write_text("retention: 1\nrecords_days: soon\n")
    with pytest.raises(Refused, match="records_days"):
        await carried(tmp_path, server)
    retention_path().unlink()
    kept = await carried(tmp_path, server)
    assert (kept.removed, len(server.runs)) == ((), 1)
    assert "so everything is kept" in kept.notes[0]
