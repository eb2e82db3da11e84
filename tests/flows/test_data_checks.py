"""What a phase makes of the service's data and of a release's samples, on a real server."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import yaml
from prefect import flow
from pydantic import SecretStr

from blocks.credential import Credential
from flows.commands import report
from flows.lifecycle.context import begin_phase
from flows.rollout.data import judge_data, samples_of
from tasks.record.report import publish_record
from tests.flows.harness import plan_of
from tests.rules.data.test_samples_suite import watched

if TYPE_CHECKING:
    from tests.conftest import Server

pytestmark = pytest.mark.server
EXAMPLE = Path(__file__).parents[2] / "examples" / "guestbook"
STEPS = [{"percent": 25, "watch_seconds": 20}, {"percent": 50, "watch_seconds": 20}, {"percent": 100, "watch_seconds": 0}]


def guestbook(folder: Path, *, version: str) -> str:
    """Lay out a database that the example's own code wrote and migrated to a version, and give its address."""
    code = EXAMPLE / "store.py"
    names: dict[str, Any] = {"__name__": "store"}
    exec(compile(code.read_text(), str(code), "exec"), names)  # noqa: S102 - the example is not a package
    database = names["connect"](str(folder / "guest book.db"))
    names["migrate"](database, names["schema_of"]("1.1.0"))
    for text in ("hello", "nice here"):
        names["add"](database, {"name": "ada", "text": text, "place": "London"})
    names["migrate"](database, names["schema_of"](version))
    database.close()
    return f"sqlite:///file:{folder}/guest%20book.db?mode=ro&uri=true"


def laid_out(folder: Path, *, name: str, **changes: Any) -> str:
    """Write a plan with the example's suite."""
    (folder / "data").mkdir()
    shutil.copy(EXAMPLE / "data" / "entries.yaml", folder / "data")
    (folder / "data" / "broken.yaml").write_text("expectations: []")
    connection = {"staging": f"credential/{name}", "production": "credential/never-made"}
    entries = {"name": "entries", "suite": "data/entries.yaml", "table": "entries", "connection": connection}
    suites = [entries, {"name": "broken", "suite": "data/broken.yaml", "csv": "*.csv"}]
    suites.append({"name": "exports", "suite": "data/entries.yaml", "csv": "exports/*.csv"})
    plan = {**plan_of("shop"), "data": suites, "samples": {"judged": True}, **changes}
    plan["production"] = {**plan["production"], "steps": STEPS}
    (folder / "shipway.yaml").write_text(yaml.safe_dump(plan))
    return str(folder / "shipway.yaml")


@flow
async def looked(plan: str, run: str) -> dict[str, Any]:
    """Do what a release does: watch a step, then judge its samples and the data."""
    phase = await begin_phase(plan, scope="")
    evidence = watched() | {"started_at": time.time() - 16}
    for row in evidence["samples"]:
        row["at"] += evidence["started_at"] - 1_000
    await phase.append("Watched 1.1 at 25 %", kind="samples", environment="production", step=25, name="watch", evidence=evidence)
    found = await judge_data(phase, "staging", samples=await samples_of(phase))
    later = await judge_data(phase, "production")
    await phase.append("Rolled back", kind="rollback", environment="staging", name="choice")
    assert await judge_data(phase, "staging", environment="staging") == [], "a rollback restores no data"
    await publish_record(phase.owner, service=run)
    return {"run": phase.owner, "found": [one.model_dump() for one in found], "later": [one.model_dump() for one in later]}


@pytest.mark.faults
async def test_a_migration_that_went_wrong_is_seen_and_its_page_is_linked(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """1.3.0 of the example dates entries back; absence of anything is not a pass; pages lie beside the record and open from a copy."""
    name = f"db-{uuid4().hex[:8]}"
    address = guestbook(tmp_path, version="1.3.0")
    block = Credential(value=SecretStr(address), services=["shop"], platforms=["local/shop-staging"])
    await block.save(name)  # type: ignore[misc]
    plan = laid_out(tmp_path, name=name)
    looked_at = await looked(plan, name)
    entries, broken, exports, samples, unwatched = looked_at["found"]
    assert entries["outcome"] == "failed"
    assert "2 of 2 rows do not fit: Entries were written between 2020 and 2100" in entries["reason"]
    assert (broken["outcome"], "could not fail" in broken["reason"]) == ("error", True)
    assert (exports["outcome"], "the file does not exist" in exports["reason"]) == ("no_data", True)
    assert samples["outcome"] == "passed", samples
    assert (unwatched["outcome"], "was to be watched" in unwatched["reason"]) == ("no_data", True)
    assert ["never-made" in one["reason"] for one in looked_at["later"]] == [True, False, False]
    assert {one["outcome"] for one in looked_at["later"]} == {"error", "no_data"}
    record = server.home / "storage" / "records" / looked_at["run"]
    check_pages(record, address)
    monkeypatch.setenv("SHIPWAY_HOME", str(server.home))
    await asyncio.to_thread(check_copy, tmp_path, looked_at["run"])
    assert address not in capsys.readouterr().out


def check_pages(record: Path, address: str) -> None:
    """Assert that the pages are there, linked, and that the address is nowhere."""
    page = (record / "record.html").read_text()
    for name in ("staging-entries", "samples-25-watch"):
        assert f'href="data/{name}.html"' in page
        assert (record / "data" / f"{name}.html").exists()
    assert page.count('href="data/') == 4, "a link in the table of checks and one in the timeline, for each page"
    assert not [path for path in record.rglob("*.*") if address in path.read_text()]


def check_copy(folder: Path, run: str) -> None:
    """Assert that a copy of the record's page brings its pages along."""
    parser = argparse.ArgumentParser()
    report.configure(parser)
    report.run(parser.parse_args([run, "--output", str(folder / "out" / "my copy.html")]))
    assert 'href="my%20copy-data/staging-entries.html"' in (folder / "out" / "my copy.html").read_text()
    assert (folder / "out" / "my copy-data" / "staging-entries.html").exists()
    assert sqlite3.connect(folder / "guest book.db").execute("SELECT count(*) FROM entries").fetchone() == (2,)
