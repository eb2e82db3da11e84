"""Forks workers that act on an environment, for the tests that kill them: `{"folder": …, "act": …, "lease": …, "log": …}` a line."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.blocks.script.apps import App
from tests.forking import serve


def act(request: dict[str, Any]) -> None:
    """Bring one effect about."""
    platform, lease = App(Path(request["folder"])).platform(), request["lease"]
    effects = {
        "shift": lambda: platform.shift(100, lease),
        "abort": lambda: platform.abort(lease),
        "promote": lambda: platform.promote(lease),
    }
    asyncio.run(effects[request["act"]]())


if __name__ == "__main__":
    serve(act, log="log")
