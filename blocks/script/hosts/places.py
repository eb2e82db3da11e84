"""Places of an environment of hosts on this machine: its id, by which its hosts know it, and a folder of notes for each of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from blocks.script import state
from blocks.script.effects import Environment

ID = "environment-id"


def environment_id(folder: Path) -> str:
    """Read the environment's id, by which its hosts know it; "" if it was never used."""
    try:
        return (folder / ID).read_text(encoding="ascii")
    except FileNotFoundError:
        return ""


def make_places(shared: Environment, hosts: Sequence[str]) -> None:
    """Make the environment's id, once, and a folder of notes for each host."""
    with shared.locked():
        if not environment_id(shared.folder):
            draft = shared.folder / f"{ID}.new"
            draft.write_text(uuid.uuid4().hex, encoding="ascii")
            draft.replace(shared.folder / ID)
    for host in hosts:
        state.make(shared.folder / "hosts" / host)
