"""What stands for one judgement: hands its own input and outputs to the warm judge's fork, and ends as that does.

Started without site-packages and importing next to nothing. If no judge answers, it becomes the ordinary program, which reads the
same input. Arguments: the judge's socket, and the ordinary program's module.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from typing import NoReturn


def become_program(module: str) -> NoReturn:
    """Judge in this very process, the slow and ordinary way."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", module])  # noqa: S606 - our own interpreter


def main(path: str, module: str) -> NoReturn:
    """Hand over, wait, end as the fork ended."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    begun = ended = b""
    try:
        connection.connect(path)
        here = os.getcwd()  # noqa: PTH109 - pathlib would be the dearest import of this program
        request = json.dumps({"env": dict(os.environ), "cwd": here}).encode() + b"\n"
        socket.send_fds(connection, [request[:1]], [0, 1, 2])
        connection.sendall(request[1:])
        lines = connection.makefile("rb")
        begun = lines.readline()
        ended = lines.readline()
    except OSError:
        pass
    if not ended:  # there is no judge, or it ended before its fork did
        if begun:
            with contextlib.suppress(OSError):
                os.kill(int(json.loads(begun)["pid"]), signal.SIGKILL)
            os.lseek(0, 0, os.SEEK_SET)  # the job is a file, and may have been read
        become_program(module)
    status = int(json.loads(ended)["exit"])
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to restore
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(abs(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
