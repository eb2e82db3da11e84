"""Become a program that ends with whoever started it: `python -I -S mortal.py PARENT UNSET PROGRAM [ARGUMENT…]`.

The kernel kills it (SIGKILL) when its parent dies, however that happens; the smoke test of a killed release would otherwise go on beside
the attempt that takes over. That is the program itself, not what it started in its turn. It gets signals and environment as they were
before this interpreter began; UNSET names a variable that has to be taken away again, or is empty. Imports next to nothing: its start is
the price of every command. Where the program cannot be run, it says so on standard error behind the mark in SHIPWAY_COMMAND, and ends with
127 or 126, as shells do.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_FOUND, NOT_RUNNABLE = 127, 126
MARK = "SHIPWAY_COMMAND"


def main(parent: int, unset: str, command: list[str]) -> int:
    """Bind this process to its parent, and become the program; returns only where that cannot be."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    os.environ.pop(unset, None)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        return NOT_RUNNABLE
    try:
        os.execvp(command[0], command)  # noqa: S606 - a program and its arguments, without a shell
    except OSError as error:
        sys.stderr.write(f"{os.environ.get(MARK, '')} {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
