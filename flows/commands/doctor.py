"""`shipway doctor`: what is wrong here, and how to fix it."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "Check this machine, the server, the worker and the keeper; say what to fix."
SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="the folder given to `shipway up` (default: $SHIPWAY_HOME, or ~/.shipway)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each thing that was looked at.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when nothing failed, 1 otherwise.
    """
    from blocks.server import doctor, layout

    home = (arguments.home or layout.default_home()).expanduser().absolute()
    failed = False
    for finding in doctor.examine(home):
        failed = failed or finding.level == "fail"
        print(f"{SIGNS[finding.level]}  {finding.subject:<10} {finding.text}")
        if finding.level != "ok" and finding.fix:
            print(f"{'':<17}→ {finding.fix}")
    return int(failed)
