"""What is given to the user that runs what is released."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blocks.runner import Runner

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away; run it as root")
UID = 61_999


def test_a_data_folder_is_given_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    """A version that leaves links behind would have our own files given to it."""
    data, ours = tmp_path / "data", tmp_path / "ours"
    (data / "deep" / "er").mkdir(parents=True)
    ours.mkdir()
    for file in (data / "deep" / "er" / "file", ours / "file"):
        file.touch()
    (data / "folder").symlink_to(ours)
    (data / "deep" / "link").symlink_to(ours / "file")
    Runner(UID, UID).own(data)
    given = [data, *data.rglob("*")]
    assert {path.lstat().st_uid for path in given} == {UID}
    assert {path.lstat().st_uid for path in (ours, ours / "file")} == {0}
