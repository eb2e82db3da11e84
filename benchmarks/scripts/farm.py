"""Many hosts of this machine: addresses of a few sshd, each with a home of its own, and a script that takes its time."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
ADDRESSES_OF_ONE = 15  # an sshd listens at 16 at most
SCRIPT = """#!/bin/sh
case $1 in
deploy) sleep {seconds}; echo "$2" >version ;;
status) cat version ;;
verify) [ "$(cat version)" = "$2" ] ;;
esac
"""


@dataclass(frozen=True)
class Farm:
    """The hosts.

    Fields:
        hosts: Each as `ADDRESS:PORT`.
        key: The private key that they let in.
        known_hosts: Their keys, in lines.
        user: Who logs in.
    """

    hosts: list[str]
    key: str
    known_hosts: list[str]
    user: str


@contextlib.contextmanager
def raised(folder: Path, number: int, *, seconds: float) -> Iterator[Farm]:
    """Start the sshd, and end them."""
    assert SSHD, "this machine has no sshd"
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
    addresses = [f"127.1.0.{one}" for one in range(1, number + 1)]
    for address in addresses:
        home = folder / address
        home.mkdir()
        (home / "app.sh").write_text(SCRIPT.format(seconds=seconds))
        (home / "app.sh").chmod(0o755)
        (home / "version").write_text("1.0\n")
    with socket.socket() as probe:
        probe.bind((addresses[0], 0))
        port = int(probe.getsockname()[1])
    with contextlib.ExitStack() as stack:
        for begin in range(0, number, ADDRESSES_OF_ONE):
            stack.enter_context(_serving(folder, addresses[begin : begin + ADDRESSES_OF_ONE], port))
        public = (folder / "host.pub").read_text().strip()
        known = [f"[{address}]:{port} {public}" for address in addresses]
        yield Farm([f"{address}:{port}" for address in addresses], (folder / "key").read_text(), known, getpass.getuser())


@contextlib.contextmanager
def _serving(folder: Path, addresses: list[str], port: int) -> Iterator[None]:
    config = folder / f"config-{addresses[0]}"
    lines = ["PidFile none", "StrictModes no", "UsePAM no", "PasswordAuthentication no", "PermitRootLogin prohibit-password",
             "MaxStartups 100", f"HostKey {folder / 'host'}", f"AuthorizedKeysFile {folder / 'key.pub'}",
             *(f"ListenAddress {address}:{port}" for address in addresses),
             *(f"Match LocalAddress {address}\n  SetEnv HOME={folder / address}" for address in addresses)]  # fmt: skip
    config.write_text("\n".join(lines) + "\n")
    with (folder / "log").open("ab") as log, subprocess.Popen([str(SSHD), "-D", "-e", "-f", config], stdout=log, stderr=log) as sshd:
        try:
            _wait(addresses[0], port)
            yield
        finally:
            sshd.terminate()


def _wait(address: str, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        assert time.monotonic() < deadline, f"no sshd at {address}:{port}"
        time.sleep(0.02)
