"""Who listens on a port, as /proc says it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from blocks.listeners import listeners, next_listener, open_sockets
from blocks.local.agent.owner import Owner

SLEEPING = "import sys, time; sys.stdout.write('up'); sys.stdout.flush(); time.sleep(60)"


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
                owns, stranger = Owner(port, pid=pid, token="t:1").look()
                assert (owns, bool(stranger)) == ((False, True) if whose == "a stranger's" else (True, False))
            finally:
                leader.kill()
                other.kill()
