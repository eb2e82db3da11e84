"""An environment of several hosts for tests: accounts of this machine, each with the script of the fault tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blocks.platform import Lease
from blocks.script.hosts.orders import Connection
from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.apps import SCRIPT
from tests.blocks.script.hosts.local_hosts import LocalHost

KEY_LINE = "web-1 ssh-ed25519 AAAA"


@dataclass
class Farm:
    """The hosts by name, and the folder of notes."""

    folder: Path
    hosts: dict[str, LocalHost]

    def platform(self, **more: Any) -> ScriptHosts:
        """Give a new instance, which reaches them without a network."""
        script = "./app.sh"
        fields: dict[str, Any] = {
            "service": "app",
            "address": "http://app",
            "host_address": "http://{host}:1",
            "hosts": list(self.hosts),
            "at_once": 1,
            "user": "deploy",
            "key": "secret-key",
            "known_hosts": [KEY_LINE],
            "scripts": {
                "deploy": [script, "deploy", "{version}"],
                "status": [script, "status"],
                "verify": [script, "verify", "{version}"],
                "rollback": [script, "rollback", "{previous}"],
            },
            "folder": str(self.folder),
            "timeout_seconds": 20,
            "stop_seconds": 0.2,
        }
        found = ScriptHosts(**{**fields, **more})
        found._connect = self.connect
        return found

    @asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Connection]:
        """Connect to one."""
        host = self.hosts[name]
        host.logins[0] += 1
        try:
            yield host
        finally:
            host.logins[1] += 1

    def versions(self) -> list[str]:
        """Say what runs on each."""
        return [(host.home / "version").read_text().strip() for host in self.hosts.values()]

    def acts(self, name: str) -> list[str]:
        """List what the script was asked to change on one."""
        path = self.hosts[name].home / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith(("status", "verify"))]

    async def begin(self, version: str, **more: Any) -> Lease:
        """Acquire the lease and prepare a version."""
        lease = await self.platform(**more).acquire_lease("run-1")
        await self.platform(**more).prepare(version, lease, timeout_seconds=10)
        return lease


def make_farm(folder: Path, number: int, version: str = "1.0", *, accounts: Path | None = None) -> Farm:
    """Lay so many hosts out, each of which runs a version."""
    hosts = {}
    for one in range(1, number + 1):
        home = folder / f"web-{one}"
        home.mkdir(parents=True)
        shutil.copy(SCRIPT, home)
        (home / "version").write_text(f"{version}\n")
        hosts[f"web-{one}"] = LocalHost(f"web-{one}", home, accounts=accounts)
    return Farm(folder / "notes", hosts)
