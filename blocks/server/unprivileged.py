"""How PostgreSQL runs where we are root, which it refuses to be: as ourselves in a user namespace, or as a user that no one else is.

Not as `nobody`, as which other programs run, too: they could signal it.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import subprocess
import sys
from pathlib import Path

from blocks.errors import Permanent

TRY_SECONDS = 20
OVERFLOW_ID = 65534  # that of `nobody` almost everywhere
FIRST_ID, IDS = 61_184, 4_336  # systemd's range for users that exist for as long as a service runs (UIDS-GIDS.md)
# What a way must allow; PostgreSQL looks for its own programs by access(2), too. Arguments: the home directory, the programs.
TRIAL = """
import os, sys
home, *programs = sys.argv[1:]
closed = [program for program in programs if not os.access(program, os.X_OK)]
closed += [home] if not os.access(home, os.W_OK | os.X_OK) else []
if closed:
    sys.exit("no permission to use " + ", ".join(closed))
os.execv(programs[0], [programs[0], "--version"])
"""


def prefix(home: Path, programs: Path) -> list[str]:
    """Find the words before a command that let PostgreSQL run on this machine, by trying them; takes about 0.1 s.

    Args:
        home: The home directory, which holds the database's files in `postgres`.
        programs: The folder of PostgreSQL's programs.

    Returns:
        Nothing for an ordinary user. For root the first way that works, of those that fit the owner of the database's files.

    Raises:
        Permanent: PostgreSQL cannot run here; says why and what to do.
    """
    problems = []
    for way in _ways(home / "postgres"):
        problem = _problem(way, home, programs)
        if problem is None:
            return way
        problems.append(f"{way[0]}: {problem}" if way else problem)
    ending = (
        "start it as an ordinary user, in a folder of that user's"
        if os.geteuid() == 0
        else "install the project where you may run programs (a file system without noexec, a folder that you may enter)"
    )
    message = f"PostgreSQL cannot run here ({'; '.join(problems)}); {ending}"
    raise Permanent(message)


def as_other(user: int) -> list[str]:
    """Give the words that run a program as another user where we are root.

    It keeps one capability: to pass our private folders, so that none has to be opened to others. `no_setuid_fixup` lets access(2)
    look at capabilities as open(2) does (capabilities(7), access(2)).
    """
    who = [f"--reuid={user}", f"--regid={user}", "--clear-groups", "--securebits=+no_setuid_fixup"]
    return ["setpriv", *who, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"]


def in_namespace() -> list[str]:
    """Give the words that run a program as root's own user under another number: files stay root's, no capability is left."""
    return ["unshare", "--user", f"--map-user={OVERFLOW_ID}", f"--map-group={OVERFLOW_ID}", "--"]


def _ways(data: Path) -> list[list[str]]:
    if os.geteuid() != 0:
        return [[]]
    if data.exists():
        owner = data.stat().st_uid
        return [as_other(owner) if owner else in_namespace()]
    return [in_namespace(), as_other(_free_id(data))]


def _free_id(data: Path) -> int:
    """Choose a number that no user has, always the same for a folder."""
    taken = {user.pw_uid for user in pwd.getpwall()}
    first = int.from_bytes(hashlib.sha256(os.fsencode(data)).digest()[:4], "big")
    return next(number for number in (FIRST_ID + (first + more) % IDS for more in range(IDS)) if number not in taken)


def _problem(way: list[str], home: Path, programs: Path) -> str | None:
    needed = [str(programs / name) for name in ("postgres", "initdb")]
    command = [*way, sys.executable, "-I", "-S", "-c", TRIAL, str(home), *needed]
    try:
        tried = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=TRY_SECONDS, cwd="/")
    except FileNotFoundError:
        return "it is not installed; its package is util-linux"
    except subprocess.TimeoutExpired:
        return f"timed out after {TRY_SECONDS} s"
    if tried.returncode == 0:
        return None
    return (tried.stderr.strip().splitlines() or [f"exited {tried.returncode}"])[-1]
