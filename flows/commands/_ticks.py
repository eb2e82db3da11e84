"""Ticks as people type them: `ITEM`, `ITEM=EVIDENCE`, `--skip ITEM=REASON`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.rules.approval.ticks import Tick


def add_ticks(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    words = "an item of a checklist that you tick; `ITEM=EVIDENCE` with the link, number or note that it asks for"
    parser.add_argument("items", metavar="ITEM", nargs="*", help=words)
    parser.add_argument("--skip", metavar="ITEM=REASON", action="append", default=[], help="an item that you skip, if the plan lets you")


def ticks_in(arguments: argparse.Namespace) -> tuple[Tick, ...]:
    """Read the ticks.

    Raises:
        BadInput: One is not a tick.
    """
    from blocks.errors import BadInput
    from tasks.rules.approval.ticks import read_tick

    found: list[Tick] = []
    for text, tick in (
        *((text, read_tick(text)) for text in arguments.items),
        *((text, read_tick(text, did="skipped")) for text in arguments.skip),
    ):
        if tick is None:
            fix = "Write the item's name, or `ITEM=EVIDENCE` with at most 300 characters."
            raise BadInput(f"{text!r} is not a tick", field="ITEM", fix=fix)
        found.append(tick)
    return tuple(found)
