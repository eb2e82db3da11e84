"""Parent-death signal: become a program that is killed with its parent: `python -I -S pdeathsig.py PARENT UNSET PROGRAM [ARGUMENT…]`.

The kernel kills it (SIGKILL) when its parent dies; else the smoke test of a killed release would continue beside
the attempt that takes over. This holds for the program itself, not for its children. It gets signals and environment as they were
before this interpreter began; UNSET names a variable to remove, or is empty. Imports next to nothing: its start is
the price of every command. If the program cannot be run, it reports that on standard error after the marker in SHIPWAY_COMMAND, and
exits with 127 or 126, as shells do.
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
    """Bind this process to its parent, and become the program; returns only if that fails."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    os.environ.pop(unset, None)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel was asked
        return NOT_RUNNABLE
    try:
        os.execvp(command[0], command)  # noqa: S606 - a program and its arguments, without a shell
    except OSError as error:
        sys.stderr.write(f"{os.environ.get(MARK, '')} {error.strerror}\n")
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
