"""Hosts for tests: folders of this machine as the homes of accounts, reached without a network, by the same program."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from blocks.errors import Unreachable
from blocks.script.hosts.orders import Ran


@dataclass
class LocalHost:
    """One account; `is_down` lets it not answer, and `drops` break the connection after so many more orders were begun."""

    name: str
    home: Path
    is_down: bool = False
    drops: int | None = None
    commands: list[str] = field(default_factory=list)

    async def run(self, command: str, given: bytes, *, timeout_seconds: float) -> Ran:
        """Run a command as sshd would: by the account's shell, in its home."""
        if self.is_down:
            raise Unreachable(f"{self.name} does not answer")
        self.commands.append(command)
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.home, env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        output, errors = await asyncio.wait_for(process.communicate(given), timeout_seconds)
        if self.drops is not None:
            self.drops -= 1
            if self.drops < 0:
                self.drops = None
                raise Unreachable(f"{self.name}: the connection broke")
        return Ran(process.returncode, output, errors)
