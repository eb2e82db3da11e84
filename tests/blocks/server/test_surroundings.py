"""The database starts where people start it: as root and as an ordinary user, in odd folders, with odd settings of the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

SCRIPT = Path(__file__).with_name("start_database.py")
PROJECT = SCRIPT.parents[3]
LONG = "a-long-name" * 14
# An ordinary user who owns what root owns: another number for root, without any capability.
ORDINARY = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--"] if os.geteuid() == 0 else []
# /tmp with another option, in a mount namespace of this command alone; the home directory and the project stay as they are.
MOUNTED = """
mount --bind /tmp /tmp && mkdir -p "$2"
for kept in "$2" "$3"; do case "$kept" in /tmp/*) mount --bind "$kept" "$kept";; esac; done
mount -o "remount,bind,$1" /tmp
shift 3; exec "$@"
"""
SURROUNDINGS: dict[str, list[str]] = {
    "umask 077": ["sh", "-c", 'umask 077; exec "$@"', "sh"],
    "no HOME": ["env", "-u", "HOME"],
    "locale that is not UTF-8": ["env", "LC_ALL=C", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"],
    "locale that does not exist": ["env", "LC_ALL=xx_XX.ISO-8859-1", "LANG=xx_XX.ISO-8859-1"],
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Shipway runs on Linux")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make these surroundings")


@pytest.fixture
def closed() -> Iterator[Path]:
    """Give a folder that others cannot enter, with a path as short as people's own."""
    with TemporaryDirectory(prefix="shipway-test-") as name:
        yield Path(name)


def start(home: Path, *words: str) -> None:
    """Start the database in a process with these words before it; it must answer."""
    done = subprocess.run([*words, sys.executable, str(SCRIPT), str(home)], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["42"]


@pytest.mark.slow
@pytest.mark.parametrize("user", ["the user of the tests", pytest.param("ordinary", marks=pytest.mark.faults)])
@pytest.mark.parametrize("mode", [0o700, pytest.param(0o755, marks=pytest.mark.faults)], ids=oct)
def test_the_database_starts_for_each_user_in_open_and_closed_folders(closed: Path, user: str, mode: int) -> None:
    """Root's home directory and what mktemp makes are closed to all others, also to whom PostgreSQL runs as."""
    closed.chmod(mode)
    start(closed / "home", *(ORDINARY if user == "ordinary" else []))


@pytest.mark.faults
@pytest.mark.parametrize("name", ["my releases", "Änderung", LONG], ids=["space", "non-ASCII letter", "150 characters"])
def test_the_database_starts_in_a_folder_of_any_name(closed: Path, name: str) -> None:
    """Neither the limit on a socket's path nor a separator in it keeps the database down."""
    start(closed / name / "home")


@pytest.mark.faults
@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_the_database_starts_with_any_setting_of_the_shell(closed: Path, surroundings: list[str]) -> None:
    """What a shell hands down does not decide whether the server stack starts."""
    start(closed / "Änderung" / "home", *surroundings)


@pytest.mark.faults
@root_only
@pytest.mark.parametrize("option", ["noexec", "ro"])
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_the_database_starts_with_a_hardened_tmp(closed: Path, option: str, user: str) -> None:
    """A /tmp without programs, or without writing, is common on servers; the sockets of a long path then lie elsewhere."""
    home = closed / LONG
    mounted = ["unshare", "--mount", "sh", "-ec", MOUNTED, "sh", option, str(home), str(PROJECT)]
    start(home, *mounted, *(ORDINARY if user == "ordinary" else []))
