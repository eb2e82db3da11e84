"""The users that run what is released: services of the local platform, tests of a plan. They are not the worker's where there are others.

If root runs Shipway and the machine has a user `shipway-run`, a plan's commands are that user's, and the services of each environment are
of a user id of its own, in the group of `shipway-run`. None of them can read the keys, or reach into a process of ours or of another
environment. Otherwise everything is one user; `why_not` says why, for `shipway doctor`.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

NAME = "shipway-run"
PROJECT = Path(__file__).parents[1]
TRY_SECONDS = 20
FIRST_UID = 0x7000_0000  # behind the ids that systemd gives to containers (524,288 to 1,879,048,191), in a signed 32-bit number
UIDS = 0x0800_0000
TRIAL = "import os, sys; sys.exit(', '.join(path for path in sys.argv[1:] if not os.access(path, os.R_OK | os.X_OK)) or 0)"


@dataclass(frozen=True)
class Runner:
    """A user beside ours.

    Fields:
        uid: User id; a service's has no name in passwd(5).
        gid: Group id.
        groups: Further groups.
    """

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Give what `subprocess.Popen` needs to start a process as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}

    def own(self, folder: Path) -> None:
        """Give this user a folder and what is in it, unless it has it; no link is followed, also none that is made meanwhile."""
        if folder.stat().st_uid == self.uid:
            return
        for _, folders, files, place in os.fwalk(folder, follow_symlinks=False):
            for name in (*folders, *files):
                os.chown(name, self.uid, self.gid, dir_fd=place, follow_symlinks=False)
        os.chown(folder, self.uid, self.gid, follow_symlinks=False)


def runner() -> Runner | None:
    """Find the user for a plan's commands; None if everything is one user."""
    try:
        return None if why_not() else Runner(*_ids())
    except KeyError:  # it was removed since
        return None


def service_runner(environment: Path, data: Path) -> Runner | None:
    """Find the user for the services of one environment of the local platform; None if everything is one user.

    The code under review runs in staging before anyone approves it: as production's user it could read production's secrets and take its
    sockets. A data folder that was given to a user id keeps its services under it, also if the machine's user is removed later: what
    ran as that id must not be started again as root.

    Args:
        environment: The environment's folder, from whose path the user id is made.
        data: The folder in it that is given to that user.
    """
    shared = runner()
    place = hashlib.sha256(os.fsencode(environment.resolve())).digest()
    uid = FIRST_UID + int.from_bytes(place[:8]) % UIDS
    if shared is not None:
        return Runner(uid, uid, (shared.gid,))
    return Runner(uid, uid) if os.geteuid() == 0 and _owner_of(data) == uid else None


@lru_cache(maxsize=1)
def why_not() -> str:
    """Say why what is released runs as our own user; "" if it does not."""
    if os.geteuid() != 0:
        return "only root can start processes of another user"
    try:
        uid, gid = _ids()
    except KeyError:
        return f"this machine has no user {NAME}"
    if uid == 0:
        return f"the user {NAME} is root"
    words = [sys.executable, "-I", "-S", "-c", TRIAL, str(PROJECT), str(PROJECT / "tasks"), sys.prefix]
    try:
        tried = subprocess.run(words, check=False, capture_output=True, text=True, timeout=TRY_SECONDS, cwd="/", **Runner(uid, gid).options)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the user {NAME} cannot run {sys.executable}: {error}"
    return f"the user {NAME} cannot read {tried.stderr.strip()}" if tried.returncode else ""


def closed_to_it(folder: Path) -> Path | None:
    """Give the folder on the way to this one that the user cannot pass; None if there is none, or everything is one user."""
    if runner() is None:
        return None
    return next((place for place in reversed(folder.absolute().parents) if place.exists() and not place.stat().st_mode & 0o001), None)


def _owner_of(folder: Path) -> int | None:
    try:
        return folder.lstat().st_uid
    except OSError:
        return None


def _ids() -> tuple[int, int]:
    found = pwd.getpwnam(NAME)
    return found.pw_uid, found.pw_gid
