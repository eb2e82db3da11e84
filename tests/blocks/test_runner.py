"""What is given to the user that runs what is released."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blocks import runner
from blocks.runner import Runner, service_runner

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


def test_services_whose_user_was_removed_from_the_machine_do_not_become_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their data folder was given to an id of their own, and they keep it; without one that was given, everything is one user."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr(runner, "why_not", lambda: "")
    monkeypatch.setattr(runner, "_ids", lambda: (UID, UID))
    before = service_runner(tmp_path, data)
    assert before is not None
    assert before.uid not in {0, UID}
    monkeypatch.setattr(runner, "_ids", {}.popitem)  # removed while we run
    assert service_runner(tmp_path, data) is None
    before.own(data)
    after = service_runner(tmp_path, data)
    assert after is not None
    assert after.uid == before.uid
    monkeypatch.setattr(runner, "why_not", lambda: f"this machine has no user {runner.NAME}")
    assert service_runner(tmp_path, data) == after
