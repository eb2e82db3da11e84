"""Script platforms for tests: the example's own script, with releases of it, on a port of their own."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blocks.script.platform import ScriptPlatform

EXAMPLE = Path(__file__).parents[1] / "examples" / "script"
SCRIPTS: Mapping[str, Sequence[str]] = {
    "deploy": ["./quotes.sh", "deploy", "{version}"],
    "status": ["./quotes.sh", "status"],
    "verify": ["./quotes.sh", "verify", "{version}"],
    "rollback": ["./quotes.sh", "deploy", "{previous}"],
}


def lay_out(folder: Path, *versions: str) -> int:
    """Put the example's script into a folder, with these releases; gives a free port."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(EXAMPLE / "quotes.sh", folder)
    source = (EXAMPLE / "releases" / "1.0" / "quotes.py").read_text()
    for version in versions:
        place = folder / "releases" / version
        place.mkdir(parents=True)
        (place / "quotes.py").write_text(source.replace('VERSION = "1.0"', f'VERSION = "{version}"'))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quotes(folder: Path, port: int, **more: Any) -> ScriptPlatform:
    """Give a new instance of the environment that lies in a folder."""
    from blocks.script.platform import ScriptPlatform  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    fields: dict[str, Any] = {
        "service": "quotes",
        "address": f"http://127.0.0.1:{port}",
        "scripts": SCRIPTS,
        "working_directory": str(folder),
        "environment": {"QUOTES_PORT": str(port), "QUOTES_STATE": str(folder / "running")},
        "folder": str(folder / "notes"),
        "timeout_seconds": 30,
        "stop_seconds": 1,
    }
    return ScriptPlatform(**{**fields, **more})


def end_service(folder: Path) -> None:
    """End what the script left running."""
    import os  # noqa: PLC0415
    import signal  # noqa: PLC0415
    from contextlib import suppress  # noqa: PLC0415

    with suppress(OSError, ValueError):
        os.kill(int((folder / "running" / "pid").read_text()), signal.SIGKILL)
