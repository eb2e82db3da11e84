"""Holds by the block, on an Application whose annotations others may write: an old one with a right seal is put back at any moment."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.blocks.gitops.test_holds import POLICIES, application, patched

from blocks.errors import Refused
from blocks.gitops import argocd
from blocks.gitops.application import HOLD, is_automatic, is_held
from blocks.key_folder.key_file import create_key, key_path

OLD, NEW = "run-old", "run-new"


class Way:
    """One Application in memory."""

    def __init__(self) -> None:
        """Have one that syncs by itself."""
        self.found = application(POLICIES[0], {"kept": "yes"})

    async def read(self) -> dict[str, Any]:
        """Give it."""
        return copy.deepcopy(self.found)

    async def change(self, _application: Any, steps: Sequence[Mapping[str, Any]]) -> None:
        """Change it."""
        self.found = patched(self.found, [dict(step) for step in steps])


@pytest.fixture
def way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Give the Application that a block of the test names."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    found = Way()

    async def ways(_: Any) -> Way:
        return found

    monkeypatch.setattr(argocd.ArgoCDApplication, "_way", ways)
    return found


def block() -> argocd.ArgoCDApplication:
    """Give the block."""
    return argocd.ArgoCDApplication(application="shop")


async def old(way: Way) -> dict[str, Any]:
    """Give the Application as a hold that is over left it, annotation and sync."""
    before = copy.deepcopy(way.found)
    await block().hold(OLD)
    held = copy.deepcopy(way.found)
    await block().release_hold(OLD)
    assert way.found == before
    return held


async def test_an_old_annotation_that_is_put_back_neither_stops_a_hold_nor_its_end(way: Way) -> None:
    """Before the hold, and while it stands; the automatic sync is as it was afterwards."""
    before, replayed = copy.deepcopy(way.found), await old(way)
    await block().hold(NEW)
    way.found["metadata"]["annotations"][HOLD] = replayed["metadata"]["annotations"][HOLD]
    await block().hold(NEW)
    assert is_held(way.found)
    way.found["metadata"]["annotations"][HOLD] = replayed["metadata"]["annotations"][HOLD]
    await block().release_hold(OLD)
    assert not is_automatic(way.found)
    await block().release_hold(NEW)
    assert way.found == before
    way.found = replayed
    await block().hold(NEW)
    assert is_held(way.found)


async def test_a_hold_that_stands_is_left_to_its_owner_until_people_remove_it(way: Way) -> None:
    """By its annotation, as the message of a refusal says."""
    await block().hold(OLD)
    with pytest.raises(Refused, match=f"held by {OLD}"):
        await block().hold(NEW)
    del way.found["metadata"]["annotations"][HOLD]
    await block().hold(NEW)
    assert is_held(way.found)


async def test_without_the_kept_file_the_annotation_counts(way: Way) -> None:
    """It cannot be read; a hold ends all the same."""
    before = copy.deepcopy(way.found)
    await block().hold(OLD)
    (kept,) = (key_path().parent / "holds").glob("*.kept")
    kept.write_bytes(b"torn")
    with pytest.raises(Refused, match=f"held by {OLD}"):
        await block().hold(NEW)
    await block().release_hold(OLD)
    assert way.found == before
