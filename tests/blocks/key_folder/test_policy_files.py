"""Policies beside the key: what cannot be trusted is an error, never an absent policy."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.key_folder.policy_files import policy_folder, read_policy_files, remove_policy_file, write_policy_file
from tasks.approval.protection import load_policies

GOOD = b"policy: 1\nname: shop\nprotects: [local/shop]\nservices: [shop]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of the policies, with one in it."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    write_policy_file("shop", GOOD)
    return policy_folder()


def test_a_policy_is_kept_replaced_and_removed(folder: Path) -> None:
    """Readable by its owner alone, without drafts beside it."""
    assert read_policy_files() == {"shop": GOOD}
    assert [policy.protects for policy in load_policies()] == [["local/shop"]]
    assert (folder.stat().st_mode & 0o777, (folder / "shop.yaml").stat().st_mode & 0o777) == (0o700, 0o600)
    write_policy_file("shop", GOOD + b"description: other\n")
    assert load_policies()[0].description == "other"
    assert [path.name for path in folder.iterdir()] == ["shop.yaml"]
    assert remove_policy_file("shop")
    assert not remove_policy_file("shop")
    assert load_policies() == ()


def test_without_the_folder_nothing_is_protected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is how an installation begins."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "none" / "approvals.key"))
    assert load_policies() == ()


def _link(folder: Path) -> None:
    (folder / "shop.yaml").rename(folder.parent / "elsewhere.yaml")
    (folder / "shop.yaml").symlink_to(folder.parent / "elsewhere.yaml")


def _link_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


SPOILT: dict[str, Callable[[Path], object]] = {
    "others may change": lambda folder: (folder / "shop.yaml").chmod(0o662),
    "group may change the folder": lambda folder: folder.chmod(0o770),
    "not a policy file": lambda folder: (folder / "shop.yml").write_bytes(GOOD),
    "a folder": lambda folder: (folder / "more.yaml").mkdir(),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe.yaml"),
    "a link": _link,
    "a linked folder": _link_folder,
    "a dangling link": lambda folder: (folder / "more.yaml").symlink_to("nowhere"),
    "a file as the folder": lambda folder: (folder.rename(folder.parent / "x"), folder.write_bytes(b"")),
    "broken YAML": lambda folder: (folder / "shop.yaml").write_bytes(b"policy: [1\n"),
    "empty": lambda folder: (folder / "shop.yaml").write_bytes(b""),
    "cut": lambda folder: (folder / "shop.yaml").write_bytes(GOOD[:30]),
    "an unknown field": lambda folder: (folder / "shop.yaml").write_bytes(GOOD + b"freeze: true\n"),
    "another name": lambda folder: (folder / "other.yaml").write_bytes(GOOD),
    "not UTF-8": lambda folder: (folder / "shop.yaml").write_bytes(GOOD + b"\xff\n"),
    "too long": lambda folder: (folder / "shop.yaml").write_bytes(GOOD + b"#" * 1_000_001),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_policy_that_cannot_be_trusted_or_read_refuses_everything(folder: Path, how: str) -> None:
    """It could protect any block, so no release goes forward until it is put right."""
    SPOILT[how](folder)
    with pytest.raises(Refused, match=str(folder.parent)):
        load_policies()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
@pytest.mark.parametrize("name", [".", "shop.yaml"])
def test_a_policy_of_another_user_refuses_everything(folder: Path, name: str) -> None:
    """Whoever owns it could change it."""
    os.chown(folder / name, 12345, 12345)
    with pytest.raises(Refused, match="belongs to user 12345"):
        load_policies()
