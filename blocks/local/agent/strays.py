"""Processes that a revision leaves behind: whatever it started outside its process group lives on, and could act on the others.

With a user id of the environment's own, all its processes are known by that; without one, by the mark in their environment.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blocks.local.agent.process import TOKEN_VARIABLE

GIVE_UP_SECONDS = 5.0
ROUND_SECONDS = 0.05
ENDED = frozenset("ZX")


@dataclass(frozen=True)
class Seen:
    """One process as /proc shows it: its parent and session, when it was born (ticks since the boot), its user ids."""

    pid: int
    parent: int
    session: int
    born: int
    uids: frozenset[int]


def end_strays(*, retired: str, born: int, others: Mapping[int, str], uid: int | None) -> int:
    """End what a revision that has ended left behind, and let the others' processes go on if it stopped them.

    Args:
        retired: Its mark, `TOKEN:REVISION`.
        born: When its process began (ticks since the boot).
        others: The marks of the other revisions, by the ids of their processes.
        uid: The user id that runs this environment's services and nothing else; None if it is ours.

    Returns:
        How many were ended.
    """
    if uid is None:
        ended = _end(lambda: [one for one in _all() if one.pid != os.getpid() and _mark(one.pid) == retired])
    else:
        ended = _end(lambda: _strangers(uid, born=born, others=others))
        for one in _of(uid):
            _send(one, signal.SIGCONT)
    for pid in others:
        with suppress(OSError):
            os.killpg(pid, signal.SIGCONT)
    return ended


def _strangers(uid: int, *, born: int, others: Mapping[int, str]) -> list[Seen]:
    """List the user's processes that belong to no other revision: neither by descent or session, nor by a mark from before this one.

    A child of this process is a revision that has not been noted yet.
    """
    found, marks = _of(uid), {*others.values()}
    kept = _with_descendants(found, {*others, *(one.pid for one in found if one.parent == os.getpid())})
    return [one for one in found if one.pid not in kept and not (one.born < born and _mark(one.pid) in marks)]


def _with_descendants(found: Collection[Seen], roots: Collection[int]) -> set[int]:
    kept = {one.pid for one in found if one.pid in roots or one.session in roots}
    while more := {one.pid for one in found if one.parent in kept} - kept:
        kept |= more
    return kept


def _end(find: Callable[[], list[Seen]]) -> int:
    """Stop what is found, then kill it, until nothing is found: a process that is stopped starts no other one."""
    ended, give_up = set[int](), time.monotonic() + GIVE_UP_SECONDS
    while (found := find()) and time.monotonic() < give_up:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for one in found:
                _send(one, number)
        ended |= {one.pid for one in found}
        time.sleep(ROUND_SECONDS)
    return len(ended)


def _send(one: Seen, number: signal.Signals) -> None:
    """Signal the process that was seen, not one that has its id since."""
    with suppress(OSError):
        handle = os.pidfd_open(one.pid)
        try:
            now = _look(one.pid)
            if now is not None and now.born == one.born:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _of(uid: int) -> list[Seen]:
    return [one for one in _all() if uid in one.uids]


def _all() -> Iterator[Seen]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - a hundred times a second
        if name.isdigit() and (found := _look(int(name))) is not None:
            yield found


def _look(pid: int) -> Seen | None:
    """Read what /proc says of a process; None if there is none, or it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return None
    if fields[0].decode() in ENDED:
        return None
    uids = next((line.split()[1:] for line in status.splitlines() if line.startswith(b"Uid:")), [])
    return Seen(pid, int(fields[1]), int(fields[3]), int(fields[19]), frozenset(map(int, uids)))


def _mark(pid: int) -> str:
    """Read a process's mark; "" if it has none. A process can give itself another one."""
    with suppress(OSError):
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        found = next((one for one in variables if one.startswith(f"{TOKEN_VARIABLE}=".encode())), b"")
        return found.partition(b"=")[2].decode(errors="replace")
    return ""
