"""A disk that fills up while a script runs, on this machine or on a host: a real small file system, mounted for one program alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.neighbour import root_only
from tests.blocks.script.full_disk import KEPT, UNKEPT

pytestmark = [pytest.mark.slow, root_only]

PROGRAM = str(Path(__file__).with_name("full_disk.py"))
SMALL = 'mount -t tmpfs -o size=24m none "$1"; exec "$4" "$5" "$1" "$2" "$3"'


@pytest.mark.parametrize("kind", ["machine", "host"])
def test_a_disk_that_is_full_at_a_scripts_end_costs_neither_its_exit_code_nor_the_service(tmp_path: Path, kind: str) -> None:
    """There is room kept for the code; without that room the run is gone without one, and the service goes on to print.

    A script that fails there has failed. Its rollback says where space is missing, and acts once there is some.
    """
    place, folder = tmp_path / "place", tmp_path / "folder"
    place.mkdir()
    folder.mkdir()
    words = ["unshare", "--mount", "sh", "-ec", SMALL, "sh", str(place), str(folder), kind, sys.executable, PROGRAM]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found[KEPT] == {"is_full": True, "ended": 0, "lives": True, "is_recorded": True}
    assert found[UNKEPT] == {"is_full": True, "ended": None, "lives": True, "is_recorded": False}
    failed, refused = found["errors"]
    assert "exited with 3" in failed
    assert "Free some space there" in refused
    assert ("web-1: " in refused) is (kind == "host")
    assert found["at_last"] == UNKEPT
