"""Hosts for tests: the example's own five sshd of this machine, on ports of their own, whose scripts can be held up."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.script.hosts.platform import ScriptHosts

EXAMPLE = Path(__file__).parents[1] / "examples" / "hosts"
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
STAGING, PRODUCTION = ("127.0.0.10",), ("127.0.0.11", "127.0.0.12", "127.0.0.13", "127.0.0.14")
HELD = """#!/bin/sh
[ "$1" != deploy ] || echo "$*" >>calls
[ "$1" != deploy ] || while [ -f hold ]; do sleep 0.05; done
exec ./shop.sh "$@"
"""


@dataclass(frozen=True)
class Hosts:
    """Five hosts.

    Fields:
        folder: Where their homes are.
        port: Of each sshd.
        service_port: Of what the script deploys.
    """

    folder: Path
    port: int
    service_port: int

    def run(self, *words: str) -> None:
        """Run the example's script."""
        variables = {"HOSTS_FOLDER": str(self.folder), "HOSTS_PORT": str(self.port)}
        subprocess.run([EXAMPLE / "hosts.sh", *words], env={**os.environ, **variables}, check=True, stdin=subprocess.DEVNULL)

    def up(self, version: str) -> None:
        """Start them, and deploy a version to each by hand."""
        self.run("up")
        for host in (*STAGING, *PRODUCTION):
            home = self.folder / host
            (home / "held.sh").write_text(HELD)
            (home / "held.sh").chmod(0o755)
            variables = {"QUOTES_PORT": str(self.service_port)}
            words = ["./shop.sh", "deploy", version]
            subprocess.run(words, cwd=home, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL, start_new_session=True)

    def platform(self, hosts: Sequence[str], **more: Any) -> ScriptHosts:
        """Give a new instance of an environment of some of them."""
        from blocks.script.hosts.platform import ScriptHosts  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

        fields: dict[str, Any] = {
            "service": "quotes",
            "address": f"http://{hosts[0]}:{self.service_port}",
            "host_address": f"http://{{host}}:{self.service_port}",
            "hosts": [f"{host}:{self.port}" for host in hosts],
            "at_once": 2,
            "user": getpass.getuser(),
            "key": (self.folder / "key").read_text(),
            "known_hosts": (self.folder / "known_hosts").read_text().splitlines(),
            "scripts": {
                "deploy": ["./held.sh", "deploy", "{version}"],
                "status": ["./shop.sh", "status"],
                "verify": ["./shop.sh", "verify", "{version}"],
                "rollback": ["./held.sh", "deploy", "{previous}"],
            },
            "environment": {"QUOTES_PORT": str(self.service_port)},
            "folder": str(self.folder / f"notes-{hosts[0]}"),
            "timeout_seconds": 60,
            "stop_seconds": 1,
        }
        return ScriptHosts(**{**fields, **more})

    def calls(self, host: str) -> list[str]:
        """List what the script was asked to change on a host."""
        path = self.folder / host / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def versions(self) -> list[str]:
        """Say what runs on each host of production."""
        return [(self.folder / host / "running" / "version").read_text().strip() for host in PRODUCTION]


def make_hosts(folder: Path) -> Hosts:
    """Choose ports that are free now."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((PRODUCTION[0], 0))
        other.bind((PRODUCTION[0], 0))
        return Hosts(folder, int(one.getsockname()[1]), int(other.getsockname()[1]))
