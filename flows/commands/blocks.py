"""`shipway blocks`: save platforms and other blocks that stand in a file, checked like a plan."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.blocks.core import Block
    from prefect.client.orchestration import PrefectClient

HELP = "Save platforms and other blocks from a file."
FINE, BAD_INPUT = 0, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    apply = actions.add_parser("apply", help="check a file of blocks, then save those that differ from what is saved")
    apply.add_argument("file", type=Path, metavar="FILE", help="YAML: fields by `type/name`; docs/platforms.md describes it")
    _terminal.add_home(apply)


def run(arguments: argparse.Namespace) -> int:
    """Save the blocks of a file; nothing is saved if the file has a problem.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when all are saved, 2 on bad input.
    """
    _terminal.enter(arguments)
    from tasks.process.files import read_bounded
    from tasks.rules.plan.blocks_file import read_blocks
    from tasks.rules.plan.file import MAX_BYTES

    try:
        content = read_bounded(arguments.file, limit_bytes=MAX_BYTES)
    except OSError as error:
        _terminal.show(f"{arguments.file} cannot be read: {error.strerror}", error=True)
        return BAD_INPUT
    if content is None:
        _terminal.show(f"{arguments.file} does not exist", error=True)
        return BAD_INPUT
    found, problems = read_blocks(content, name=str(arguments.file), kinds=kinds(), environ=os.environ)
    if problems:
        _terminal.show("\n".join(map(str, problems)), error=True)
        return BAD_INPUT
    blocks = {name: _placed(block, arguments.file.absolute().parent) for name, block in found.items()}

    async def save(_client: PrefectClient, _arguments: argparse.Namespace) -> int:
        for name, block in blocks.items():
            _terminal.show(f"{name}  {await _save(block, name)}")
        return FINE

    return _terminal.on_server(arguments, save)


def kinds() -> dict[str, type[Block]]:
    """Give the block classes that may stand in a file, by their type's slug."""
    from tasks.rollout.platforms import KNOWN, known_class

    return {kind: known_class(kind) for kind in KNOWN if kind != "approvers"}  # people enrol themselves


def _placed(block: Block, folder: Path) -> Block:
    """Let a relative working directory of this machine start where the file lies, not where a worker happens to run."""
    directory = "" if hasattr(block, "hosts") else getattr(block, "working_directory", "")
    return block.model_copy(update={"working_directory": str((folder / directory).resolve())}) if directory else block


async def _save(block: Block, name: str) -> str:
    """Save a block unless it is saved already with these values; says which of the two."""
    from blocks.server import saving

    short = name.partition("/")[2]
    before = await _saved(type(block), short)
    if before == _values(block):
        return "unchanged"
    await saving.register(type(block))
    await saving.save(block, short)
    if before is None:
        return "created"
    changed = sorted(field for field, value in _values(block).items() if before.get(field) != value)
    return f"changed: {', '.join(changed)}"


async def _saved(kind: type[Block], name: str) -> dict[str, Any] | None:
    try:
        return _values(await kind.aload(name))
    except ValueError:  # as Prefect says that there is none
        return None


def _values(block: Block) -> dict[str, Any]:
    """Give a block's fields, secrets as SecretStr, which compare without being shown."""
    return {field: getattr(block, field) for field in type(block).model_fields}
