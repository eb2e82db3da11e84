"""A rollback goes only to a version that was deployed there, as a record says that is kept beside the key, and is as it was written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.owners import Owner, claim, file_of_thing, owner_file
from blocks.key_folder.seal import split
from tasks.record import deployed, store
from tasks.record.deployed import find_deployed, find_last_deployed, keep_deployed
from tasks.record.kept_index import MOST_OF_A_VERSION, keep_run
from tasks.record.objects import StorageFault
from tasks.record.reading import read_record
from tasks.record.store import store_entry
from tasks.record.without_key import rolling_back
from tasks.rules.record.entries import moment
from tasks.rules.rollout.migrations import Here

HERE = Here("production", "kubernetes/shop", "kubernetes u-1")


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the storage of records."""

    async def here() -> Path:
        return tmp_path

    monkeypatch.setattr(deployed, "default_storage", here)
    return tmp_path


async def ran(
    storage: Path,
    run: str,
    *,
    flow: str = "release",
    version: str = "1.0",
    service: str = "shop",
    where: Here = HERE,
    outcome: str = "deployed",
    is_kept: bool = False,
) -> Path:
    """Write the record of a run that deployed a version, and keep it as the end of a run does."""

    async def write(kind: Any, **more: Any) -> None:
        await store_entry(storage, run, kind=kind, who="rita", what="x", **more)

    place = {"service": service, "block": where.block, "identity": where.identity}
    await write("opened", evidence={"flow": flow, "version": version})
    await write("effect", environment=where.environment, name="promote", evidence=place)
    await keep_deployed(run, (await read_record(storage, run)).entries, service=service, version=version)
    await write("closed", evidence={"outcome": outcome})
    if is_kept:
        entries = (await read_record(storage, run)).entries
        await keep_deployed(run, entries, service=service, version=version, closed=True)
    return storage / "records" / run


def strip(record: Path) -> None:
    """Take the seals away: what is left is a chain of hashes, which anyone can compute."""
    for path in record.glob("*.json"):
        path.write_bytes(split(path.read_bytes())[0])
    store._tails.clear()


async def known(version: str = "1.0", *, service: str = "shop", here: Here = HERE) -> bool:
    """Say whether a rollback may return to a version."""
    return await find_deployed(service, version=version, here=here) is not None


async def test_a_sealed_record_says_what_was_deployed_where(storage: Path) -> None:
    """And nothing of other versions, services and places."""
    await ran(storage, "r1")
    found = await find_deployed("shop", version="1.0", here=HERE)
    assert found
    assert found.unchecked == ""
    assert not await known("2.0")
    assert not await known(service="pay")
    assert not await known(here=Here("production", "kubernetes/pay", "kubernetes u-2"))
    assert not await known(here=HERE._replace(environment="staging"))


async def test_staging_alone_makes_a_version_known_in_staging_only(storage: Path) -> None:
    """Also through the block and in the place that are production's by now."""
    await ran(storage, "r1", flow="staging", where=HERE._replace(environment="staging"))
    assert not await known()
    assert await known(here=HERE._replace(environment="staging"))


@pytest.mark.parametrize("harm", ["of another service", "of staging alone", "of another version", "of another place"])
async def test_a_kept_name_counts_for_nothing_but_what_its_record_says(storage: Path, harm: str) -> None:
    """Only the worker writes it, and it only names a run."""
    changes: dict[str, dict[str, Any]] = {
        "of another service": {"service": "pay"},
        "of staging alone": {"flow": "staging"},
        "of another version": {"version": "2.0"},
        "of another place": {"where": Here("production", "kubernetes/eve", "kubernetes u-9")},
    }
    await ran(storage, "r1", **changes[harm])
    await keep_run("deployed", "shop", run="r1", version="1.0", place="production block kubernetes/shop")
    assert not await known()


async def test_a_record_that_no_kept_file_names_does_not_count(storage: Path) -> None:
    """What lies in the storage, and what tags say, others can write."""
    await ran(storage, "r1")
    shutil.rmtree(key_path().parent / "deployed")
    assert not await known()


@pytest.mark.parametrize("head", ["as it was", "of another entry", "removed"])
@pytest.mark.parametrize("key", ["here", "replaced", "lost"])
async def test_without_seals_a_chain_counts_only_by_its_end_beside_the_key(storage: Path, key: str, head: str) -> None:
    """No loss of a key leaves a rollback without the versions of before; and no chain that anyone could compute makes a version known."""
    record = await ran(storage, "r1")
    if key == "here":
        strip(record)
    else:
        key_path().unlink()
    if key == "replaced":
        create_key(key_path())
    if head != "as it was":
        shutil.rmtree(key_path().parent / "heads")
    if head == "of another entry":
        keep_head("r1", Head(3, "0" * 64, closed=True))
    found = await find_deployed("shop", version="1.0", here=HERE)
    assert (found is not None) is (head == "as it was")
    assert found is None or found.unchecked.startswith("the record of r1: ")


@pytest.mark.parametrize("harm", ["changed", "its end removed"])
async def test_a_chain_that_is_not_whole_does_not_count(storage: Path, harm: str) -> None:
    """Neither sealed nor without seals."""
    record = await ran(storage, "r1")
    strip(record)
    first, last = (record / f"0000{place}.json" for place in (1, 3))
    if harm == "changed":
        first.write_bytes(first.read_bytes().replace(b"1.0", b"2.0"))
    else:
        last.unlink()
    for version in ("1.0", "2.0"):
        assert not await known(version)


@pytest.mark.parametrize(
    ("owner", "yes"),
    [
        (None, True),
        (Owner("shop", "kubernetes/shop", "production"), True),
        (Owner("first", "kubernetes/shop", "production"), True),
        (Owner("shop", "kubernetes/other", "production"), False),
    ],
    ids=["no one's", "its own", "shared with another service", "deployed through another block"],
)
@pytest.mark.usefixtures("storage")
async def test_a_block_that_moved_keeps_its_versions_unless_it_points_to_what_another_deploys(
    storage: Path, owner: Owner | None, *, yes: bool
) -> None:
    """A plan of others may call its service `shop`: what its block brought elsewhere must not come here when the block is edited."""
    await ran(storage, "r1")
    moved = HERE._replace(identity="kubernetes u-2")
    if owner:
        claim(file_of_thing(moved.identity), owner)
    assert await known(here=moved) is yes
    assert await known(), "where it was"
    assert await known(here=HERE._replace(identity="")), "a platform that does not answer"


@pytest.mark.parametrize("owner", [None, "kubernetes/shop", "kubernetes/eve"])
async def test_no_api_server_of_others_makes_a_version_known(storage: Path, owner: str | None) -> None:
    """It says what production is only when the version is promoted there; what owns that is named beside the key. Contracts go by it."""
    if owner:
        claim(file_of_thing(HERE.identity), Owner("shop", owner, "production"))
    await ran(storage, "r1", where=HERE._replace(block="kubernetes/eve"))
    assert await known() is (owner == "kubernetes/eve")
    assert await find_last_deployed("shop", version="1.0", here=HERE) is not None
    (storage / "records" / "r1" / "00002.json").unlink()
    assert await find_last_deployed("shop", version="1.0", here=HERE) is not None


async def test_a_renamed_block_keeps_its_versions(storage: Path) -> None:
    """Those that it deployed under its old name, which owns the place, and those under its new one."""
    claim(file_of_thing(HERE.identity), Owner("shop", "kubernetes/shop", "production"))
    renamed = HERE._replace(block="kubernetes/new")
    await ran(storage, "r1")
    await ran(storage, "r2", version="2.0", where=renamed)
    assert await known(here=renamed)
    assert await known("2.0", here=renamed)


async def test_an_owner_file_that_cannot_be_read_refuses_no_rollback(storage: Path) -> None:
    """The block says enough then."""
    await ran(storage, "r1")
    moved = HERE._replace(identity="kubernetes u-2")
    owner_file("x").parent.mkdir(mode=0o700, exist_ok=True)
    file_of_thing(moved.identity).write_text("{")
    file_of_thing(moved.identity).chmod(0o600)
    assert await known(here=moved)


async def test_others_cannot_crowd_a_version_out(storage: Path) -> None:
    """Of each place the newest are kept: many runs of staging alone, or elsewhere, leave those of production."""
    from tasks.record.retention import _superseded  # noqa: PLC0415 - imports much

    await ran(storage, "r1")
    for number in range(MOST_OF_A_VERSION + 1):
        for place in ("staging block kubernetes/shop", "production block kubernetes/eve"):
            await keep_run("deployed", "shop", run=f"s{number}", version="1.0", place=place)
    assert len(_superseded()) == 2
    assert not [name for name in _superseded() if name.endswith("-r1")]


async def test_the_newest_release_of_a_version_there_is_the_last(storage: Path) -> None:
    """By which a rollback knows the contracts that it had; staging alone, and other places, do not make it newer."""
    assert await find_last_deployed("shop", version="1.0", here=HERE) is None
    for number in (1, 2):
        await ran(storage, f"r{number}")
    last = await find_last_deployed("shop", version="1.0", here=HERE)
    await ran(storage, "r3", flow="staging", where=HERE._replace(environment="staging"))
    await ran(storage, "r4", where=Here("production", "kubernetes/eve", "kubernetes u-9"))
    assert last
    assert last == moment((await read_record(storage, "r2")).entries[1])
    assert await find_last_deployed("shop", version="1.0", here=HERE) == last


@pytest.mark.parametrize("harm", ["removed", "its end removed", "changed", "the storage is away"])
async def test_a_record_that_cannot_be_read_leaves_the_moment_that_is_kept(
    storage: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """By which no contract of before is crossed: whoever writes the storage refuses no rollback. It makes no version known."""
    record = await ran(storage, "r1")
    promoted = moment((await read_record(storage, "r1")).entries[1])

    async def away() -> Path:
        raise StorageFault("it is away")

    if harm == "the storage is away":
        monkeypatch.setattr(deployed, "default_storage", away)
    elif harm == "removed":
        shutil.rmtree(record)
    elif harm == "its end removed":
        (record / "00003.json").unlink()
    else:
        (record / "00002.json").write_text("{}")
    with rolling_back():
        assert await find_last_deployed("shop", version="1.0", here=HERE) == promoted
        assert await find_last_deployed("shop", version="1.0", here=Here("production", "kubernetes/eve", "kubernetes u-9")) is None
        assert not await known()


@pytest.mark.parametrize(
    ("where", "head", "yes"),
    [
        (HERE, "as it was", True),
        (HERE, "open", False),
        (HERE, "removed", False),
        (Here("production", "kubernetes/eve", "kubernetes u-1"), "as it was", False),
        (HERE._replace(environment="staging"), "as it was", False),
    ],
)
async def test_in_a_rollback_what_is_kept_of_a_closed_record_makes_the_version_known_if_that_cannot_be_read(
    storage: Path, where: Here, head: str, *, yes: bool
) -> None:
    """A storage that is away keeps no bad version in production; where it was, and that it was closed, must be kept."""
    await ran(storage, "r1", where=where, is_kept=True)
    shutil.rmtree(storage / "records")
    store._tails.clear()
    if head != "as it was":
        shutil.rmtree(key_path().parent / "heads")
    if head == "open":
        keep_head("r1", Head(3, "0" * 64, closed=False))
    assert not await known(), "a release does not go by it"
    with rolling_back():
        found = await find_deployed("shop", version="1.0", here=HERE)
    assert (found is not None) is yes
    assert found is None or found.unchecked.startswith("the record of r1 cannot be read")


async def test_a_record_that_says_otherwise_counts_before_the_moment_that_is_kept(storage: Path) -> None:
    """As of a release that was rolled back when its record could be closed again."""
    await ran(storage, "r1", outcome="rolled_back")
    assert await find_last_deployed("shop", version="1.0", here=HERE) is None
