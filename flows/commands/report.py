"""`shipway report`: write a release's page from its stored record, and check the record."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flows.commands import _output, _records, _terminal
from flows.commands._pages import lies_at, write_page

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from tasks.record.objects import Folder
    from tasks.record.reading import Reading

HELP = "Write the page of a release from its record, and check that the record is intact."
BAD_INPUT = 2
PAGE = "record.html"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _records.add_record(parser)
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--output", metavar="FILE", type=Path, help="where to write the page (default: record.html beside the record)")
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print what was found.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the record is intact, 2 when it is not or does not exist.
    """
    from blocks.errors import ShipwayError

    _terminal.enter(arguments)
    try:
        return asyncio.run(_report(arguments))
    except BrokenPipeError:  # of standard output; the caller knows what to do
        raise
    except (ShipwayError, OSError) as error:
        _terminal.show(error, error=True)
        return BAD_INPUT


async def _report(arguments: argparse.Namespace) -> int:
    from tasks.record.page import render_page
    from tasks.record.reading import folder_of, read_record
    from tasks.rules.record.entries import outcome_of

    storage, release_id = await _records.locate(arguments.run, folder=arguments.storage)
    reading = await read_record(storage, release_id)
    problems = await _problems(storage, release_id, reading)
    output = lies_at(arguments.output or _beside(storage, release_id))
    docs = await _copy_docs(storage, release_id, reading, output)
    page = render_page(reading.entries, problems=problems, docs=docs)
    if arguments.output is None and (objects := _folder_of(storage)):
        await objects.replace(f"{folder_of(release_id)}/{PAGE}", page.encode())
    else:
        write_page(output, page)
    facts = {
        "release": release_id,
        "outcome": outcome_of(reading.entries),
        "entries": len(reading.entries),
        "page": output,
        "intact": not problems,
        "problems": problems,
        "unchecked": reading.unchecked,
    }
    if arguments.json:
        _output.print_json(facts)
    else:
        _print(facts)
    if arguments.open:
        import webbrowser

        webbrowser.open(output.as_uri())
    return BAD_INPUT if problems else 0


def _print(facts: dict[str, Any]) -> None:
    is_open, problems = facts["outcome"] == "open", facts["problems"]
    outcome = "running" if is_open else facts["outcome"].replace("_", " ")
    _terminal.show(f"release  {facts['release']}: {outcome}, {facts['entries']} entries")
    _terminal.show(f"page     {facts['page']}")
    _terminal.show("chain    " + ("BROKEN" if problems else "intact" + (" so far; the release has not ended" if is_open else "")))
    for problem in problems:
        _terminal.show(f"         - {problem}")
    if facts["unchecked"]:
        _terminal.show(f"seals    {facts['unchecked']}")


async def _problems(storage: Any, release_id: str, reading: Reading) -> list[str]:
    """Check the chain, and the document that was published when the release ended: its schema, and whether the chain still ends there."""
    from tasks.record.objects import objects_of
    from tasks.record.reading import folder_of

    published = await objects_of(storage).read(f"{folder_of(release_id)}/record.json")
    problems = reading.problems or ([] if reading.entries else ["the record is empty"])
    return problems + (_cut_since(published, reading) if published is not None else [])


def _cut_since(published: bytes, reading: Reading) -> list[str]:
    from tasks.rules.record.document import read_document

    try:
        record = read_document(published)
    except ValueError as error:
        return [f"record.json beside the entries cannot be read: {error}"]
    count = record.entry_count
    if count == 0 or any(entry.seq == count and entry.hash == record.head for entry in reading.entries):
        return []
    return [f"record.json was published with {count} entries and a different last hash: entries were removed or changed since"]


def _beside(storage: Any, release_id: str) -> Path:
    objects = _folder_of(storage)
    return objects.base / "records" / release_id / PAGE if objects else Path(f"record-{release_id}.html")


def _folder_of(storage: Any) -> Folder | None:
    from tasks.record.objects import Folder, objects_of

    objects = objects_of(storage)
    return objects if isinstance(objects, Folder) else None


async def _copy_docs(storage: Any, release_id: str, reading: Reading, output: Path) -> str:
    """Copy the pages that the record links beside its page, unless they are there already; return their folder's name."""
    from tasks.record.objects import objects_of
    from tasks.record.reading import folder_of
    from tasks.rules.record.view import rows_of

    objects, local = objects_of(storage), _folder_of(storage)
    if local and output.parent == local.base / folder_of(release_id):
        return "data"
    folder = output.with_name(f"{output.stem}-data")
    for name in dict.fromkeys(row.docs for row in rows_of(reading.entries) if row.docs):
        page = await objects.read(f"{folder_of(release_id)}/data/{name}")
        write_page(folder / name, page.decode() if page else "This page is no longer in the storage.")
    return quote(folder.name)
