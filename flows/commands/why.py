"""`shipway why`: the decision about a run and its evidence in ten lines, from its record."""

from __future__ import annotations

import argparse

from flows.commands import _output, _records, _terminal

HELP = "Say in ten lines why a release or rollback ended as it did, or what it is at, with the evidence."
NAME_WIDTH = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _records.add_record(parser)
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the lines.

    Args:
        arguments: What `configure` described.

    Returns:
        0, also if the seals cannot be checked here, or 2 if there is no record, or if it is broken; the last line says which.
    """
    return _records.on_record(arguments, _why)


async def _why(arguments: argparse.Namespace) -> int:
    from tasks.record.reading import read_record
    from tasks.rules.rollout.why import why_lines

    storage, name = await _records.locate(arguments.run, folder=arguments.storage)
    reading = await read_record(storage, name)
    problems = reading.problems or ([] if reading.entries else ["the record is empty"])
    lines = why_lines(name, reading.entries, problems=problems, unchecked=reading.unchecked)
    if arguments.json:
        told = [{"name": line.name, "text": line.text} for line in lines]
        _output.print_json({"run": name, "lines": told, "problems": problems, "unchecked": reading.unchecked})
    else:
        (title, said), *rest = lines
        _terminal.show(f"{title}: {said}")
        for line in rest:
            _terminal.show(f"{line.name:<{NAME_WIDTH}} {line.text}")
    return _terminal.BAD_INPUT if problems else _terminal.DONE
