"""Where blocks led at the last release, as files beside the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.approvers.places import Kept, keep_place, plain_settings, read_place
from blocks.errors import Refused
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.local.platform import LocalPlatform


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a key folder of the test's own."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    return tmp_path / "keys"


def test_what_was_kept_last_is_read_back() -> None:
    """Each release keeps it anew."""
    assert read_place("local/shop") is None
    for port in (1, 2):
        keep_place("local/shop", Kept("local /srv", {"port": port}))
    assert read_place("local/shop") == Kept("local /srv", {"port": 2})


def test_no_secret_is_kept() -> None:
    """The block has them, and a rollback takes them from there."""
    local = plain_settings(LocalPlatform(service="shop", environment={"TOKEN": SecretStr("hush")}))
    cluster = plain_settings(KubernetesPlatform(config=SecretStr("hush"), namespace="shop"))
    assert (local["service"], cluster["namespace"]) == ("shop", "shop")
    assert "environment" not in local
    assert "config" not in cluster
    assert "hush" not in f"{local}{cluster}"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"identity": "x"}', b'{"identity": "x", "settings": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_refused(content: bytes, keys: Path) -> None:
    """The rollback then goes by the block, and says so."""
    (keys / "places").mkdir(parents=True)
    (keys / "places" / "local_shop.json").write_bytes(content)
    with pytest.raises(Refused, match="by which a rollback finds the environment, cannot be read"):
        read_place("local/shop")


def test_a_folder_that_cannot_be_written_is_refused(keys: Path) -> None:
    """As with the owner: then nothing is deployed."""
    keys.write_bytes(b"")
    with pytest.raises(Refused, match="by which a rollback finds the environment"):
        keep_place("local/shop", Kept("", {}))


def test_a_secret_that_is_empty_is_kept_as_empty() -> None:
    """So a kubeconfig that is written into the block later does not count for a rollback: it could name another cluster."""
    assert plain_settings(KubernetesPlatform(namespace="shop"))["config"] == ""
    assert "config" not in plain_settings(KubernetesPlatform(config=SecretStr("hush")))
