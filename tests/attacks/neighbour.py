"""Another user of this machine: takes ports, answers like a server, and writes down what it is sent."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.server import unprivileged

# Binds as soon as it can, with every option that might help; then answers every request with 200, and prints what it got.
PROGRAM = """
import json, os, socket, sys, threading, time
port, answer = int(sys.argv[1]), sys.argv[2].encode()
print(json.dumps({"uid": os.getuid()}), flush=True)
while True:
    for options in ((), ("SO_REUSEADDR",), ("SO_REUSEPORT",), ("SO_REUSEADDR", "SO_REUSEPORT")):
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            try:
                taken = socket.socket(family)
                for option in options:
                    taken.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
                taken.bind((address, port))
                taken.listen(64)
                break
            except OSError:
                taken.close()
        else:
            continue
        break
    else:
        time.sleep(0.001)
        continue
    break
print(json.dumps({"bound": address}), flush=True)
def serve(client):
    client.settimeout(2)
    got = b""
    try:
        while b"\\r\\n\\r\\n" not in got and (part := client.recv(65536)):
            got += part
    except OSError:
        pass
    print(json.dumps({"got": got.decode("latin-1")}), flush=True)
    head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n"
    client.sendall(head % len(answer) + answer)
    client.close()
while True:
    threading.Thread(target=serve, args=(taken.accept()[0],), daemon=True).start()
"""

NOBODY = unprivileged.as_other(unprivileged.OVERFLOW_ID)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


class Neighbour:
    """The other user's program; `port` is what it wants."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        """Watch a program that was started."""
        self.process, self.log, self.port = process, log, port

    def seen(self, what: str) -> list[Any]:
        """List what it reported of one kind: `uid`, `bound`, `got`."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [line[what] for line in lines if what in line]

    def wait_for(self, what: str) -> None:
        """Return when it has reported something of a kind."""
        deadline = time.monotonic() + 10
        while not self.seen(what):
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)


@contextlib.contextmanager
def neighbour(port: int, log: Path, *, answer: str = "{}") -> Iterator[Neighbour]:
    """Run the other user's program, which takes a port as soon as it can."""
    with log.open("wb") as output:
        process = subprocess.Popen([*NOBODY, sys.executable, "-I", "-c", PROGRAM, str(port), answer], stdout=output)
    try:
        other = Neighbour(process, log, port)
        other.wait_for("uid")
        assert other.seen("uid")[0] not in (0, os.geteuid())
        yield other
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
