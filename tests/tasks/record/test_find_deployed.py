"""A rollback goes only to a version that was deployed, as a record says: also one whose seals cannot be checked any more."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.seal import split
from tasks.record import journal, store
from tasks.record.kept_index import keep_run
from tasks.record.store import store_entry


@pytest.fixture
async def record(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the record of a release that deployed 1.0, which the server finds by its tags."""
    tagged = [] if getattr(request, "param", "") == "untagged" else ["r1"]

    class Client:
        async def __aenter__(self) -> Any:
            return self

        async def __aexit__(self, *_: object) -> None:
            """Leave nothing open."""

        async def read_flow_runs(self, **_: Any) -> list[Any]:
            return [SimpleNamespace(id=run) for run in tagged]

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(journal, "get_client", Client)
    monkeypatch.setattr(journal, "default_storage", here)
    await store_entry(tmp_path, "r1", kind="opened", who="rita", what="Asked.", evidence={"version": "1.0"})
    await store_entry(tmp_path, "r1", kind="closed", who="shipway", what="Deployed.", evidence={"outcome": "deployed"})
    return tmp_path / "records" / "r1"


def strip(record: Path) -> None:
    """Take the seals away, as records had none once."""
    for path in record.glob("*.json"):
        path.write_bytes(split(path.read_bytes())[0])
    store._tails.clear()


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_a_sealed_record_says_what_was_deployed(version: str) -> None:
    """And nothing else."""
    assert await journal.find_deployed("svc", version=version) == (version == "1.0", "")


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("record", ["untagged"], indirect=True)
async def test_a_version_stays_known_although_its_runs_lost_their_tags() -> None:
    """Or were deleted: which run deployed it is kept beside the key, and its record decides."""
    assert await journal.find_deployed("svc", version="1.0") == (False, "")
    await keep_run("deployed", "svc", run="r1", version="1.0")
    assert await journal.find_deployed("svc", version="1.0") == (True, "")
    await keep_run("deployed", "svc", run="r1", version="2.0")
    assert await journal.find_deployed("svc", version="2.0") == (False, "")


@pytest.mark.parametrize("before", ["no seals", "another key", "no key"])
async def test_a_whole_chain_without_seals_counts_and_that_is_said(record: Path, before: str) -> None:
    """The record is from before there were seals, or the key was lost or replaced, with its folder."""
    shutil.rmtree(key_path().parent)
    if before == "no seals":
        strip(record)
    if before != "no key":
        create_key(key_path())
    known, unchecked = await journal.find_deployed("svc", version="1.0")
    assert known
    assert unchecked.startswith("the record of r1: ")
    assert (await journal.find_deployed("svc", version="2.0"))[0] is False


@pytest.mark.parametrize("harm", ["changed", "its end removed", "not closed"])
async def test_a_chain_that_is_not_whole_does_not_count(record: Path, harm: str) -> None:
    """Neither sealed nor without seals."""
    strip(record)
    first, last = (record / f"0000{place}.json" for place in (1, 2))
    if harm == "changed":
        first.write_bytes(first.read_bytes().replace(b"1.0", b"2.0"))
    else:
        last.unlink()
    if harm == "not closed":
        shutil.rmtree(key_path().parent / "heads")
    for version in ("1.0", "2.0"):
        assert await journal.find_deployed("svc", version=version) == (False, "")
