"""What the code under release can reach: on a machine with a user for it, and on one without."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from blocks import runner
from tests.attacks.neighbour import root_only

pytestmark = [pytest.mark.attack, root_only]

PROGRAM = Path(__file__).with_name("release_spy.py")
UID = 61_999
SHELL = {"AWS_SECRET_ACCESS_KEY": "hush", "PREFECT_API_AUTH_STRING": "hush", "DATABASE_URL": "hush", "TZ": "UTC", "LC_ALL": "C.UTF-8"}
# A mount namespace of this command alone: a passwd with the user, and, if Python lies in a closed folder, a way to it.
MOUNTED = """
mount --bind "$1" /etc/passwd
if test -n "$2"; then
  kept=$(mktemp -d); mount --bind "$3" "$kept"; mount -t tmpfs -o mode=755 none "$2"; mkdir -p "$3"; mount --bind "$kept" "$3"
fi
shift 3; exec "$@"
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that others can pass."""
    with TemporaryDirectory(prefix="shipway-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def spied(home: Path, *words: str) -> dict[str, Any]:
    """Release the spy; give what it found."""
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), **SHELL}
    done = subprocess.run(
        [*words, sys.executable, str(PROGRAM), str(home)], check=False, capture_output=True, text=True, env=env, timeout=90
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_the_user(folder: Path) -> list[str]:
    """Give the words that run a command on a machine that has the user."""
    passwd = folder / "passwd"
    passwd.write_text(f"{Path('/etc/passwd').read_text().rstrip()}\n{runner.NAME}:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin\n")
    passwd.chmod(0o644)
    base = Path(sys.base_prefix)
    closed = next((str(place) for place in reversed(base.parents) if not place.stat().st_mode & 0o001), "")
    return ["unshare", "--mount", "sh", "-ec", MOUNTED, "sh", str(passwd), closed, str(base)]


def test_the_code_under_release_reads_no_key_where_there_is_a_user_for_it(open_folder: Path) -> None:
    """Neither a service, a command of a plan nor a script reads a key, another's state or our environment, or signals our processes."""
    home = open_folder / "home"
    found = spied(home, *with_the_user(open_folder))
    assert found["why"] == ""
    assert "can read no key" in found["doctor"]
    assert found["mode"] & 0o777 == 0o711
    assert (found["command"]["uid"], found["command"]["groups"]) == (UID, [])
    own, other = found["users"]
    assert (found["service"]["uid"], found["service"]["groups"]) == (own, [UID])
    assert len({own, other, UID, 0}) == 4  # staging is not production's user, and neither is a command of the plan
    for seen in (found["service"], found["command"]):
        assert (seen["read"], seen["signals"]) == ([], False)
        assert seen["writes"]
    for seen in found["scripts"]:
        assert (seen["uid"], seen["groups"], seen["read"], seen["signals"]) == (UID, [], [], False)
    assert found["service"]["home"] == str(home / "local" / "x" / "data")


def test_a_home_that_the_user_cannot_reach_starts_nothing_as_root(open_folder: Path) -> None:
    """The version does not come up, and says which folder is closed."""
    home = open_folder / "closed" / "home"
    home.parent.mkdir(mode=0o700)
    with pytest.raises(AssertionError, match=f"the user {runner.NAME} cannot pass {home.parent}"):
        spied(home, *with_the_user(open_folder))


def test_a_home_that_is_itself_closed_to_the_user_is_what_the_doctor_finds(open_folder: Path) -> None:
    """It was made before there was such a user; the fix that the doctor names opens it."""
    program = f"""
from pathlib import Path
from blocks.server import doctor, layout
home = Path({str(open_folder / "home")!r})
layout.make_home(home, port=None, auth=None)
for closed in (home / "local", home):
    closed.chmod(0o700)
    print(*vars(doctor._users(home)).values())
    layout.set_modes(home)
    print(doctor._users(home).level)
"""
    words = [*with_the_user(open_folder), sys.executable, "-c", program]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=90)
    found = done.stdout.splitlines()
    assert found[1::2] == ["ok", "ok"]
    for line, closed in zip(found[::2], ("home/local", "home"), strict=True):
        assert line.startswith(f"fail users {runner.NAME}, which runs the services, cannot pass {open_folder / closed} ")
        assert f"shipway up --home {open_folder / 'home'}" in line


def test_without_such_a_user_the_doctor_says_what_that_means(open_folder: Path) -> None:
    """Everything is one user, which can read the key."""
    with pytest.raises(KeyError):
        pwd.getpwnam(runner.NAME)
    found = spied(open_folder / "home")
    assert "the code under release and its tests can read the approval key" in found["doctor"]
    assert found["mode"] & 0o777 == 0o700
    assert all(seen["uid"] == 0 for seen in (found["service"], found["command"], *found["scripts"]))


def test_the_code_under_release_knows_of_the_shells_environment_only_what_is_listed(open_folder: Path) -> None:
    """Whoever runs it, and as what."""
    found = spied(open_folder / "home")
    for seen in (found["service"], found["command"], *found["scripts"]):
        known = {name for name in seen["environment"] if not name.startswith(("LC_", "SHIPWAY_"))}
        assert known - {"VIRTUAL_ENV"} == {"PATH", "HOME", "TZ", "GIVEN"}
        assert not {"SHIPWAY_HOME", "SHIPWAY_KEY_FILE"} & set(seen["environment"])
