"""A version that fills the disk keeps no traffic: the local platform's rollback needs no space."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.neighbour import root_only

pytestmark = [pytest.mark.attack, root_only]

PROGRAM = str(Path(__file__).with_name("fill_disk.py"))
SMALL = 'mount -t tmpfs -o size=2m none "$1"; exec "$2" "$3" "$1"'


def test_a_canary_at_half_the_traffic_is_rolled_back_on_a_full_disk(tmp_path: Path) -> None:
    """It gets no more than it had, then nothing; and what could not be written is written once there is space."""
    words = ["unshare", "--mount", "sh", "-ec", SMALL, "sh", str(tmp_path), sys.executable, PROGRAM]
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "No space left" in found["refused"]
    assert found["answers"] == {"1.0": 20}
    assert (found["position"]["canary"], found["position"]["percent"], found["position"]["owner"]) == (None, 0, "rollback")
    assert found["written_while_full"] is not None
