"""Forks workers that act on hosts, for the tests that kill them: `{"fields": …, "act": …, "lease": …, "log": …}` a line."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh  # noqa: F401 - once, for all forks

from blocks.script.hosts.platform import ScriptHosts
from tests.forking import serve


def act(request: dict[str, Any]) -> None:
    """Bring one effect about."""
    asyncio.run(brought(ScriptHosts.model_validate(request["fields"]), request["act"], request["lease"]))


async def brought(platform: ScriptHosts, what: str, lease: Any) -> None:
    """Have so many percent of the hosts run the canary, promote it, or abort it."""
    effects = {"promote": platform.promote, "abort": platform.abort}
    await (effects[what](lease) if what in effects else platform.shift(int(what), lease))


if __name__ == "__main__":
    serve(act, log="log")
