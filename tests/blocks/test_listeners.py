"""Who listens on a port, as /proc says it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blocks.listeners import HERE, HERE_6, Listener, _dumped, _read, listeners, next_listener, open_sockets
from blocks.local.agent.owner import Owner

SLEEPING = "import sys, time; sys.stdout.write('up'); sys.stdout.flush(); time.sleep(60)"
ORDINARY, ANOTHER = 54_321, 54_322
# As root they become ordinary users themselves, which hides their descriptors too: others may not read the interpreter here.
BECOME = """
import ctypes, os, socket, sys, time
from blocks.local.agent.owner import Owner
uid, dumpable = int(sys.argv[1]), int(sys.argv[2])
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
assert ctypes.CDLL(None).prctl(4, dumpable, 0, 0, 0) == 0
"""
SERVING = """
with socket.create_server(("127.0.0.1", 0)) as one:
    print(one.getsockname()[1], flush=True)
    time.sleep(60)
"""
LOOKING = """
owner = Owner(int(sys.argv[3]), pid=int(sys.argv[4]), token="t:1", uid=os.geteuid())
print(*(int(owner.look()[0]) for _ in range(2)))
"""


@pytest.mark.parametrize(
    ("family", "address", "reached"),
    [
        (socket.AF_INET, "127.0.0.1", True),
        (socket.AF_INET, "0.0.0.0", True),  # noqa: S104 - that is asked
        (socket.AF_INET, "127.0.0.2", False),
        (socket.AF_INET6, "::", True),
        (socket.AF_INET6, "::1", False),
    ],
)
def test_a_listener_is_found_if_it_is_reached_by_loopback(family: socket.AddressFamily, address: str, *, reached: bool) -> None:
    """Also one that listens on every address."""
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        port = listener.getsockname()[1]
        assert listeners(port) == []
        listener.listen()
        found = [(one.uid, one.inode) for one in listeners(port)]
        inode = os.fstat(listener.fileno()).st_ino
        assert found == ([(os.geteuid(), inode)] if reached else [])
        assert next_listener(port) == (inode if reached else 0)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1", "127.0.0.2", "::1"])  # noqa: S104
def test_the_kernel_and_its_table_name_the_same_listeners(address: str) -> None:
    """One is asked first, the other where that is not answered."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as listening:
        listening.bind((address, 0))
        listening.listen()
        port = listening.getsockname()[1]
        own = os.fstat(listening.fileno()).st_ino  # another process may listen at the same port of another address
        table = [*_read(Path("/proc/net/tcp"), HERE, port), *_read(Path("/proc/net/tcp6"), HERE_6, port)]
        asked = [one for kind in (socket.AF_INET, socket.AF_INET6) for one in _dumped(kind, port)]
        assert [one for one in asked if one.inode == own] == [one for one in table if one.inode == own]
        assert sum(one.inode == own for one in asked) == (address not in {"127.0.0.2", "::1"})


def test_only_what_listens_is_read_of_a_busy_machines_table(tmp_path: Path) -> None:
    """The kernel lists it first; to read on through what ended connections leave took a fifth of a second each time."""
    line = "   {}: 0100007F:{:04X} 00000000:0000 {} 00000000:00000000 00:00000000 00000000  1000        0 {} 1 0 100 0 0 10 0\n"
    table, others = tmp_path / "tcp", "".join(line.format(number, 9_000, "06", 0) for number in range(3, 30_000))
    table.write_bytes(("  sl  local_address\n" + line.format(1, 80, "0A", 7) + line.format(2, 81, "0A", 8) + others).encode() + b"\xff")
    assert _read(table, HERE, 81) == [Listener(1_000, 8)]
    assert _read(table, HERE, 82) == []


def test_sockets_of_a_process_are_those_that_it_has_open() -> None:
    """A process that is not there has none."""
    with socket.socket() as one:
        assert os.fstat(one.fileno()).st_ino in open_sockets([os.getpid()])
        inode = os.fstat(one.fileno()).st_ino
    assert inode not in open_sockets([os.getpid(), 2**22 + 1])


@pytest.mark.parametrize("whose", ["its own", "its child's", "its daemon's", "a stranger's"])
def test_a_listener_counts_as_the_revisions_if_one_of_its_processes_has_it(whose: str) -> None:
    """Its process, one of its session, or one with its token in another session; nothing else does, though it has the same user."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, given = listener.getsockname()[1], listener.fileno()
        with (
            subprocess.Popen([sys.executable, "-c", SLEEPING], start_new_session=True, stdout=subprocess.PIPE) as leader,
            subprocess.Popen(
                [sys.executable, "-c", SLEEPING],
                pass_fds=[given] if whose == "its daemon's" else [],
                env={"SHIPWAY_REVISION": "t:1"} if whose == "its daemon's" else {},
                start_new_session=True,
                stdout=subprocess.PIPE,
            ) as other,
        ):
            try:
                for process in (leader, other):
                    assert process.stdout is not None
                    process.stdout.read(2)
                if whose == "its daemon's":
                    listener.close()
                pid = os.getpid() if whose == "its own" else os.getsid(0) if whose == "its child's" else leader.pid
                owns, stranger = Owner(port, pid=pid, token="t:1", uid=os.geteuid()).look()
                assert (owns, bool(stranger)) == ((False, True) if whose == "a stranger's" else (True, False))
            finally:
                leader.kill()
                other.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="a listener of root's is needed")
@pytest.mark.parametrize(("uid", "accepted"), [(ORDINARY, True), (0, False)])
def test_a_daemon_of_roots_listens_for_a_version_of_an_ordinary_user_alone(*, uid: int, accepted: bool) -> None:
    """As a container runtime does; beside a version of root's own it is a stranger."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen([sys.executable, "-c", SLEEPING], start_new_session=True, stdout=subprocess.PIPE) as leader,
    ):
        try:
            owns, stranger = Owner(listener.getsockname()[1], pid=leader.pid, token="t:1", uid=uid).look()
        finally:
            leader.kill()
    assert (owns, not stranger) == (accepted, accepted)


def _words(script: str, uid: int, *words: int, dumpable: bool) -> list[str]:
    return [sys.executable, "-c", BECOME + script, str(uid), str(int(dumpable)), *map(str, words)]


@pytest.mark.parametrize(
    ("hidden", "listening", "accepted"),
    [(True, "itself", True), (True, "its user's", False), (True, "another user's", False), (False, "its user's", False)],
)
def test_a_revision_that_hides_its_descriptors_is_known_by_its_user(*, hidden: bool, listening: str, accepted: bool) -> None:
    """As after prctl(PR_SET_DUMPABLE, 0), or with file capabilities; a socket that another process is seen to have is not its own."""
    if os.geteuid() != 0 and listening == "another user's":
        pytest.skip("only root can start processes of two users")
    user = ANOTHER if listening == "another user's" else ORDINARY
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "start_new_session": True, "env": {"PYTHONPATH": str(Path(__file__).parents[2])}}
    with (
        subprocess.Popen(_words(SERVING, ORDINARY, dumpable=not hidden), **usual) as leader,
        subprocess.Popen(_words(SERVING, user, dumpable=True), **usual) as other,
    ):
        try:
            ports = {process.pid: int(process.stdout.readline()) for process in (leader, other) if process.stdout}
            port = ports[(leader if listening == "itself" else other).pid]
            looking = _words(LOOKING, ORDINARY, port, leader.pid, dumpable=True)
            with subprocess.Popen(looking, **usual) as looked:
                assert looked.communicate()[0].split() == [b"%d" % accepted] * 2
        finally:
            leader.kill()
            other.kill()
