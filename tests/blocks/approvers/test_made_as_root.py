"""What `sudo shipway freeze` writes can be read by the worker, whose folder it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from blocks.key_folder.freeze_files import freeze_folder, write_freeze_file


def test_files_that_root_writes_belong_to_whoever_has_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the worker could not read them, and everything would be frozen; another user's files stay that user's."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    (tmp_path / "keys").mkdir(mode=0o700)
    given: list[tuple[str, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((Path(path).name, user, group)))
    monkeypatch.setattr(os, "fchown", lambda _file, user, group: given.append(("file", user, group)))
    owner = tmp_path.stat().st_uid, tmp_path.stat().st_gid
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    write_freeze_file("0123456789ab", b"{}")
    assert given == [("freezes", *owner), ("file", *owner)]
    assert freeze_folder().stat().st_mode & 0o077 == 0

    given.clear()
    monkeypatch.setattr(os, "geteuid", lambda: owner[0] or 1)
    safe: Any = lambda *_, **__: None  # noqa: E731 - the folder belongs to another user than this one says to be
    monkeypatch.setattr("blocks.key_folder.policy_files.expect_safe", safe)
    write_freeze_file("ba9876543210", b"{}")
    assert given == []
