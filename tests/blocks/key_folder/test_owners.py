"""Owners of environments, as files beside the key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.key_folder.owners import Owner, claim, file_of_thing, owner_file, read_owner


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a key folder of the test's own."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    return tmp_path / "keys"


def test_an_environment_has_a_file_by_its_block_and_one_by_what_it_points_to() -> None:
    """Two blocks that point to the same place share the second one."""
    assert owner_file("local/shop") != owner_file("local/alias")
    assert file_of_thing("local /srv/shop") == file_of_thing("local /srv/shop") != file_of_thing("local /srv/other")


def test_of_many_at_once_exactly_one_becomes_the_owner() -> None:
    """And stays it."""
    path = owner_file("local/shop")
    assert read_owner(path) is None
    with ThreadPoolExecutor(8) as pool:
        owners = set(pool.map(lambda number: claim(path, Owner(f"shop-{number}", "local/shop", "production")), range(32)))
    assert len(owners) == 1
    assert claim(path, Owner("late", "local/shop", "production")) == owners.pop()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"service": "shop"', b'{"service": "shop", "block": "local/shop"}', b"\xff"])
def test_an_owner_that_cannot_be_read_is_refused(content: bytes) -> None:
    """It may be another service."""
    path = owner_file("local/shop")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(Refused, match="says to which service"):
        read_owner(path)


def test_an_owner_that_others_can_change_is_refused() -> None:
    """As a policy is."""
    path = owner_file("local/shop")
    claim(path, Owner("shop", "local/shop", "production"))
    path.chmod(0o666)
    with pytest.raises(Refused, match="others may change"):
        read_owner(path)


def test_a_folder_that_cannot_be_written_is_refused(keys: Path) -> None:
    """Then no service can become the owner, and none deploys."""
    keys.write_bytes(b"")
    path = owner_file("local/shop")
    with pytest.raises(Refused):
        claim(path, Owner("shop", "local/shop", "production"))
