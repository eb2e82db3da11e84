"""A process that does orders of hosts in forks of itself: the program that is sent, without the start of a Python for each.

It listens on the socket that its argument names; a request is a line `{"home": …, "is_full": …, "uid": …}`, and the order behind it.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[4]


@contextlib.contextmanager
def accounts() -> Iterator[Path]:
    """Run it, and give its socket."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        words, env = [sys.executable, __file__, str(path)], {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env) as process:
            assert process.stdout
            assert process.stdout.readline() == b"listens\n"
            yield path
            process.terminate()


def main(path: str) -> None:
    """Fork for every request."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        sys.stdout.write("listens\n")
        sys.stdout.flush()
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _become(connection)
            connection.close()


def _become(connection: socket.socket) -> NoReturn:
    """Do one order as the account, whose outputs are the connection, as sshd makes them a pipe."""
    from blocks.script.hosts import on_host  # noqa: PLC0415 - loaded before the first fork

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    given = b""
    while piece := connection.recv(65_536):
        given += piece
    line, _, order = given.partition(b"\n")
    account = json.loads(line)
    read, write = os.pipe()
    os.write(write, order)  # it fits
    os.close(write)
    for ours, theirs in ((read, 0), (connection.fileno(), 1), (connection.fileno(), 2)):
        os.dup2(ours, theirs)
    os.close(read)
    connection.close()
    if uid := account.get("uid"):
        codecs.lookup("ascii")  # what Python loads late, that user may not read
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    os.environ.clear()
    os.environ.update(HOME=account["home"], PATH=account["path"])
    os.chdir(account["home"])
    if account["is_full"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        on_host.main()
    finally:
        os._exit(0)


if __name__ == "__main__":
    import blocks.script.hosts.on_host  # noqa: F401 - once, for all forks

    main(sys.argv[1])
