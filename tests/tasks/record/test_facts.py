"""Facts of records: kept when a record is closed, and believed only while they are of its end."""

from __future__ import annotations

from pathlib import Path

from blocks.key_folder.kept_files import kept_names
from tasks.lifecycle.looked import keep_looks, looks_of
from tasks.record.facts import FOLDER, all_facts, facts_of_runs, keep_facts
from tasks.record.reading import read_record
from tasks.record.store import store_entry
from tasks.rules.metrics.facts import Looks


async def ended(storage: Path, run: str, *, closed: bool = True) -> None:
    """Write a record."""
    await store_entry(storage, run, kind="opened", who="rita", what="Asked.", evidence={"flow": "release", "version": "1.0"})
    await store_entry(storage, run, kind="review", who="shipway", what="Seen.", evidence={"service": "shop"})
    if closed:
        await store_entry(storage, run, kind="closed", who="shipway", what="Ended.", evidence={"outcome": "deployed"})
    await keep_facts(run, await read_record(storage, run))


async def test_only_a_closed_record_is_kept_and_an_open_one_is_read_each_time(tmp_path: Path) -> None:
    """Both are known."""
    await ended(tmp_path, "r1")
    await ended(tmp_path, "r2", closed=False)
    assert kept_names(FOLDER) == ["r1"]
    found = await all_facts(tmp_path)
    assert sorted((one.run, one.outcome) for one in found.facts) == [("r1", "deployed"), ("r2", "open")]


async def test_what_was_kept_is_not_believed_of_a_record_that_went_on(tmp_path: Path) -> None:
    """Its head is another one then."""
    await ended(tmp_path, "r1")
    await store_entry(tmp_path, "r1", kind="closed", name="again", who="shipway", what="Ended.", evidence={"outcome": "failed"})
    assert [one.outcome for one in (await all_facts(tmp_path)).facts] == ["failed"]


async def test_a_record_that_was_changed_is_broken_if_it_is_verified(tmp_path: Path) -> None:
    """Without that what was kept at its end counts; a record without kept facts is always verified."""
    await ended(tmp_path, "r1")
    await ended(tmp_path, "r2", closed=False)
    for run in ("r1", "r2"):
        (tmp_path / "records" / run / "00002.json").write_bytes(b"{}")
    found = await all_facts(tmp_path)
    assert ([one.run for one in found.facts], list(found.broken)) == (["r1"], ["r2"])
    assert list((await facts_of_runs(tmp_path, ["r1"], verify=True)).broken) == ["r1"]


async def test_the_looks_at_what_was_deployed_are_added_to_its_facts(tmp_path: Path) -> None:
    """Whether the facts were kept or are read from the record; those of other runs count for nothing."""
    for run, closed in (("r1", True), ("r2", False)):
        await store_entry(tmp_path, run, kind="opened", who="rita", what="Asked.", evidence={"flow": "release", "version": "1.0"})
        await store_entry(tmp_path, run, kind="effect", environment="production", name="promote", who="shipway", what="Promoted.")
        if closed:
            await store_entry(tmp_path, run, kind="closed", who="shipway", what="Ended.", evidence={"outcome": "deployed"})
        await keep_facts(run, await read_record(tmp_path, run))
        keep_looks(run, {"production": Looks(checks=3, well=2), "production/eu": Looks()})
    keep_looks("r1", {"production/eu": Looks(checks=1, well=1)})
    keep_looks("r9", {"production": Looks(checks=9, well=9)})
    found = (await all_facts(tmp_path)).facts
    assert [one.places[0].looks for one in found] == [Looks(checks=3, well=2)] * 2
    assert [*looks_of(["r1", "r7"])["r1"]] == ["production", "production/eu"]
