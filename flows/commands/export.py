"""`shipway export`: a folder for an incident review, with the record and all that belongs to it."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _output, _records, _terminal

if TYPE_CHECKING:
    from flows.commands._export import Export

HELP = "Write a folder for an incident review: record, page, checks, data docs, changes, messages, logs, and their hashes."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _records.add_record(parser)
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="a folder that is new or empty (default: shipway-RUN here)")
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the folder.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 1 if it was written and something is missing or the record is broken, 2 without a record or if the folder is not empty.
    """
    return _records.on_record(arguments, _export)


async def _export(arguments: argparse.Namespace) -> int:
    from flows.commands._export import SUMS, gather
    from tasks.record.reading import read_record

    storage, name = await _records.locate(arguments.run, folder=arguments.storage)
    output = _free(arguments.output or Path(f"shipway-{name[:8]}"))
    reading = await read_record(storage, name)
    export = await gather(storage, name, reading)
    hashes = export.hashes()
    _write(export, hashes, output)
    problems = reading.problems
    if arguments.json:
        files = [{"path": path, "bytes": len(export.files[path]), "sha256": found} for path, found in hashes.items()]
        _output.print_json(
            {
                "run": name,
                "folder": output.absolute(),
                "files": files,
                "missing": export.missing,
                "problems": problems,
                "unchecked": reading.unchecked,
            }
        )
    else:
        _terminal.show(f"{output}: {len(export.files)} files of run {name}; `sha256sum -c {SUMS}` there checks them")
        for line in export.missing:
            _terminal.show(f"not in it: {line}")
        for line in problems:
            _terminal.show(f"the record is BROKEN: {line}")
        if reading.unchecked:
            _terminal.show(f"the record's seals are NOT checked: {reading.unchecked}")
    return _terminal.UNEXPECTED if export.missing or problems else _terminal.DONE


def _free(named: Path) -> Path:
    """Expect a place where nothing is, or an empty folder, and give its path.

    Raises:
        BadInput: Something is there, or the name cannot be one of a folder.
    """
    from blocks.errors import BadInput
    from blocks.outside_text import outside

    try:
        output = named.expanduser()
        is_full = output.is_symlink() or (output.exists() and (not output.is_dir() or any(output.iterdir())))
    except (OSError, RuntimeError) as error:  # too long, or of a user who does not exist
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"`{outside(named, limit=60)}` cannot be used: {why}", field="--output", fix="Name another folder.") from None
    if is_full:
        raise BadInput(f"{output} is there and not an empty folder", field="--output", fix="Name a new folder.")
    return output


def _write(export: Export, hashes: dict[str, str], output: Path) -> None:
    """Write all files, and their hashes as `sha256sum -c` reads them.

    They are written beside the place, for their owner alone, and put there in one step; what failed leaves nothing behind.

    Raises:
        BadInput: The place was filled meanwhile, or cannot be written.
    """
    from blocks.errors import BadInput
    from flows.commands._export import SUMS
    from tasks.record.files import create_file

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise BadInput(f"{output} cannot be made: {error.strerror}", field="--output", fix="Name another folder.") from None
    try:
        listing = "".join(f"{found}  {path}\n" for path, found in hashes.items())
        for path, content in [*export.files.items(), (SUMS, listing.encode())]:
            create_file(draft, path, content)
        draft.rename(output)  # over an empty folder, and over nothing else
    except OSError as error:
        raise BadInput(f"{output} cannot be written: {error.strerror}", field="--output", fix="Name a new folder.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
