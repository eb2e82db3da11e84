"""Real sshds for tests: on loopback, as this user, with keys of their own."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


class Sshd(NamedTuple):
    """A running one: its port, its process and its log."""

    port: int
    pid: int
    log: Path


def free_port() -> int:
    """Find a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> str:
    """Make a key; gives its public part."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@contextmanager
def running(folder: Path, *, host_key: Path, authorized: Sequence[str], settings: Sequence[str] = ()) -> Iterator[Sshd]:
    """Run one until the block ends.

    Args:
        folder: Where its configuration and its log are.
        host_key: The key that it shows.
        authorized: The keys that it lets in.
        settings: More lines for sshd_config(5).
    """
    (folder / "authorized").write_text("".join(f"{one}\n" for one in authorized))
    port = free_port()
    lines = ["ListenAddress 127.0.0.1", f"Port {port}", f"HostKey {host_key}", f"AuthorizedKeysFile {folder / 'authorized'}",
             "StrictModes no", "UsePAM no", "PidFile none", "PermitRootLogin prohibit-password",
             "PasswordAuthentication no", *settings]  # fmt: skip
    (folder / "config").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        Path("/run/sshd").mkdir(exist_ok=True)
        sshd = subprocess.Popen([str(SSHD), "-D", "-e", "-f", folder / "config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert sshd.poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
            yield Sshd(port, sshd.pid, folder / "log")
        finally:
            sshd.terminate()
            sshd.wait(10)
