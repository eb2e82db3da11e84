"""The systemd unit that the handbook offers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import build_parser

UNIT = Path(__file__).parents[2] / "docs" / "shipway.service"
PROGRAM = "/opt/shipway/.venv/bin/shipway"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """With the program where it is here."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, str(Path(sys.executable).with_name("shipway"))))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_commands_of_the_unit_exist() -> None:
    """With their options."""
    lines = [line.partition(f"{PROGRAM} ")[2].split() for line in UNIT.read_text().splitlines() if PROGRAM in line]
    parsed = [build_parser()[0].parse_args(words) for words in lines]
    assert [(one.command, one.home) for one in parsed] == [(name, Path("/var/lib/shipway/home")) for name in ("up", "down")]
