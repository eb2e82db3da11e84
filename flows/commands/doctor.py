"""`shipway doctor`: what is wrong with this installation, and how to fix it."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from blocks.server.doctor import Finding

HELP = "Check this machine, the server, the workers and the keeper; say what is wrong and how to fix it."
LEVELS = {"ok": ("ok  ", "32"), "warn": ("warn", "33"), "fail": ("FAIL", "31")}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line for each check, with the fix if it found something.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when nothing failed, 1 otherwise, 4 when the folder is not a home directory.
    """
    from blocks.errors import Refused
    from blocks.server import doctor, layout
    from flows.commands import _trust

    home = (arguments.home or layout.default_home()).expanduser().absolute()
    findings: list[Finding] = []
    try:
        for finding in chain(doctor.examine(home), _trust.examine(home)):
            findings.append(finding)
            if not arguments.json:
                _print(finding)
    except Refused as error:  # the folder is not a home directory, which earlier checks do not need
        if not arguments.json:
            raise
        _output.print_json({"ok": False, "findings": [asdict(one) for one in findings], "error": str(error)})
        return _terminal.REFUSED
    failed = any(finding.level == "fail" for finding in findings)
    if arguments.json:
        _output.print_json({"ok": not failed, "findings": [asdict(one) for one in findings]})
    return int(failed)


def _print(finding: Finding) -> None:
    word, code = LEVELS[finding.level]
    _output.show_marked(word, code, f"  {finding.subject:<10} {finding.text}")
    if finding.level != "ok" and finding.fix:
        _terminal.show(f"{'':<17}→ {finding.fix}")
