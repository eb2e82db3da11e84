"""A service that leaves a daemon behind, which stops another process again and again: `python local_hostile_service.py PORT VICTIM`."""

import os
import runpy
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path


def daemon(victim: int) -> None:
    """Leave the group and the session, and stop the victim for ever."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    while True:
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGSTOP)
        time.sleep(0.02)


if __name__ == "__main__":
    daemon(int(sys.argv[2]))
    sys.argv[2] = "fine"
    runpy.run_path(str(Path(__file__).with_name("local_service.py")), run_name="__main__")
