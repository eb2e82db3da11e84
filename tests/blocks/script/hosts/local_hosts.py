"""Hosts for tests: folders of this machine as the homes of accounts, reached without a network, by the same program."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from blocks.errors import Unreachable
from blocks.script.hosts.orders import Broke, Ran


@dataclass
class LocalHost:
    """One account.

    Fields:
        name: As the block has it.
        home: Its home.
        is_down: Whether it does not answer.
        is_full: Whether nothing can be written there, but by what only reads.
        drops: After so many more orders the connection breaks, once an order was done.
        breaks: The connection breaks once, after an order of this kind was done; "" never.
        loses: An order of this kind does not reach it, once, as the connection breaks before; "" none.
        logins: How often it was connected to, and how many of these connections were closed.
        commands: What it was given to run.
        accounts: The socket of `accounts`, which does an order sooner; None runs the command with the account's shell.
        uid: Whose account it is, with `accounts`; 0 is ours.
    """

    name: str
    home: Path
    is_down: bool = False
    is_full: bool = False
    drops: int | None = None
    breaks: str = ""
    loses: str = ""
    logins: list[int] = field(default_factory=lambda: [0, 0])
    commands: list[str] = field(default_factory=list)
    accounts: Path | None = None
    uid: int = 0

    def is_open(self) -> bool:
        """Say that nothing is known of it."""
        return True

    async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        """Run a command as sshd would: by the account's shell, in its home."""
        if self.is_down:
            raise Unreachable(f"{self.name} does not answer")
        if self.loses and f'"do": "{self.loses}"'.encode() in order:
            self.loses = ""
            raise Unreachable(f"{self.name}: the connection broke")
        self.commands.append(command)
        is_full = self.is_full and b'"do": "read"' not in order
        async with asyncio.timeout(timeout_seconds):  # `wait_for` loses a cancellation that comes with the answer
            ran = await self._run(command, program, order, is_full=is_full)
        if self.drops is not None:
            self.drops -= 1
            if self.drops < 0:
                self.drops = None
                raise Unreachable(f"{self.name}: the connection broke")
        if self.breaks and f'"do": "{self.breaks}"'.encode() in order:
            self.breaks = ""
            raise Broke(f"{self.name}: the connection broke")
        return ran

    async def _run(self, command: str, program: bytes, order: bytes, *, is_full: bool) -> Ran:
        if self.accounts is not None:
            return Ran(0, await self._asked(order, is_full=is_full), b"")
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", f"ulimit -f 0; {command}" if is_full else command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.home, env={"HOME": str(self.home), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        output, errors = await process.communicate(program + order)
        return Ran(process.returncode, output, errors)

    async def _asked(self, order: bytes, *, is_full: bool) -> bytes:
        account = {"home": str(self.home), "path": os.environ["PATH"], "is_full": is_full, "uid": self.uid}
        reader, writer = await asyncio.open_unix_connection(self.accounts)
        try:
            writer.write(json.dumps(account).encode() + b"\n" + order)
            writer.write_eof()
            return await reader.read()
        finally:
            writer.close()
