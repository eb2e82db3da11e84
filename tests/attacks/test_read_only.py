"""Commands where nothing can be written: a line that says so, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.server import layout
from tests.attacks.neighbour import root_only

pytestmark = [pytest.mark.attack, root_only]

SHIPWAY = str(Path(sys.executable).with_name("shipway"))
READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'


@pytest.mark.parametrize("is_made", [True, False], ids=["a home directory", "a folder without one"])
@pytest.mark.parametrize("command", [["up"], ["down"], ["demo", "--yes"], ["doctor"], ["status"]], ids=" ".join)
def test_a_read_only_home_gives_a_line_and_no_traceback(tmp_path: Path, command: list[str], *, is_made: bool) -> None:
    """Whatever the command wanted to write."""
    home = tmp_path / "home"
    if is_made:
        layout.make_home(home, port=None, auth=True)
    words = ["unshare", "--mount", "sh", "-ec", READ_ONLY, "sh", str(tmp_path), SHIPWAY, *command, "--home", str(home)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=90, env=env)
    assert "Traceback" not in done.stderr
    assert done.returncode != 0 or command == ["down"]
    assert done.stdout + done.stderr
