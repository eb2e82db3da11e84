"""What a rollback goes by, whole, as files beside the key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.errors import Refused
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from blocks.key_folder import kept_files
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.places import Kept, keep_place, kept_blocks, read_place, whole_settings
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.local.platform import LocalPlatform

KEPT = Kept("kubernetes 1f0c", {"gitops/shop": {"git": "git/shop"}, "git/shop": {"token": "hush"}})


def test_what_could_not_be_read_again_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept already stays."""
    keep_place("local/shop", KEPT)
    monkeypatch.setattr(kept_files, "MAX_BYTES", 1_000)
    with pytest.raises(Refused, match="1000 is the most that is read again, so it was not written"):
        keep_place("local/shop", Kept("x" * 2_000, {}))
    assert read_place("local/shop") == KEPT


def test_what_was_kept_last_is_read_back() -> None:
    """Each release keeps it anew."""
    assert read_place("local/shop") is None
    for port in (1, 2):
        keep_place("local/shop", Kept("local /srv", {"local/shop": {"port": port}}))
    assert read_place("local/shop") == Kept("local /srv", {"local/shop": {"port": 2}})


@pytest.mark.parametrize(
    "block",
    [
        LocalPlatform(service="shop", environment={"TOKEN": SecretStr("hush")}),
        KubernetesPlatform(config=SecretStr("hush"), namespace="shop"),
        KubernetesPlatform(namespace="shop"),
        Git(remote="https://git.example.com/shop.git", token=SecretStr("hush")),
        Git(
            remote="https://git.example.com/shop.git",
            pull_requests=PullRequests(forge="github", repository="shop/deploy", token=SecretStr("hush")),
        ),
    ],
)
def test_a_block_is_whole_again_secrets_included(block: LocalPlatform | KubernetesPlatform | Git) -> None:
    """A rollback needs the kubeconfig and the token that the release had."""
    assert type(block).model_validate(whole_settings(block)) == block


def test_no_secret_can_be_read_in_the_file() -> None:
    """It may be in a backup without the key."""
    keep_place("gitops/shop", KEPT)
    assert b"hush" not in kept_path("places", "gitops/shop").read_bytes()
    assert kept_path("places", "gitops/shop").stat().st_mode & 0o777 == 0o600


def test_a_file_of_another_block_is_refused() -> None:
    """Staging's settings must not send production's rollback to staging."""
    keep_place("gitops/staging", KEPT)
    shutil.copy(kept_path("places", "gitops/staging"), kept_path("places", "gitops/shop"))
    with pytest.raises(Refused, match="was moved there: it is that of places/gitops/staging"):
        read_place("gitops/shop")


@pytest.mark.parametrize("at", [0, 10, 60, -3])
def test_a_file_that_was_changed_is_refused(at: int) -> None:
    """The rollback then goes by the block, and says so; the next release keeps it anew."""
    keep_place("gitops/shop", KEPT)
    path = kept_path("places", "gitops/shop")
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match="the settings that a rollback goes by"):
        read_place("gitops/shop")
    keep_place("gitops/shop", KEPT)
    assert read_place("gitops/shop") == KEPT


def test_a_file_of_another_key_is_refused() -> None:
    """As after the loss of the key."""
    keep_place("gitops/shop", KEPT)
    key_path().unlink()
    create_key(key_path())
    with pytest.raises(Refused, match="was not written under the key"):
        read_place("gitops/shop")


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    """As with the owner: then nothing is deployed."""
    (key_path().parent / "places").write_bytes(b"")
    with pytest.raises(Refused, match="the settings that a rollback goes by"):
        keep_place("local/shop", Kept("", {}))


def test_the_blocks_of_a_type_are_known_although_they_were_deleted() -> None:
    """So the keeper finds what Git has still to be told."""
    assert kept_blocks("gitops") == []
    for name in ("gitops/shop", "gitops/a", "git/shop"):
        keep_place(name, Kept("", {}))
    assert kept_blocks("gitops") == ["gitops/a", "gitops/shop"]


def test_the_place_of_a_kept_file_is_beside_the_key() -> None:
    """Where the API cannot write."""
    assert kept_path("places", "gitops/shop") == Path(key_path()).parent / "places" / "gitops_shop.kept"
