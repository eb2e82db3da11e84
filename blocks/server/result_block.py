"""What the doctor says of a block that workers use as the storage of results and records, if they use one."""

from __future__ import annotations

import os
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_names, kept_path, read_kept
from blocks.server import api

FOLDER = "storage"
WHAT = "the settings of the storage of results and records"
SETTINGS = ("PREFECT_DEFAULT_RESULT_STORAGE_BLOCK", "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK")
NOT_FOUND = 404


def file_of(block: str) -> str:
    """Name the kept file of a block, `type/name`."""
    return block.replace("/", "_")


def faults(home: Path) -> tuple[list[str], list[str]]:
    """Compare each block that is kept, and the one that this shell's setting names, with what the server has.

    Returns:
        Their names; and what is wrong, a sentence each.

    Raises:
        OSError: The server is not reached.
    """
    found, said = dict[str, dict[str, Any]](), list[str]()
    for name in kept_names(FOLDER):
        try:
            kept = read_kept(FOLDER, name, what=WHAT) or {}
            found[str(kept["block"])] = dict(kept["document"]["data"])
        except (Refused, KeyError, TypeError, ValueError) as error:
            said.append(f"nothing goes forward by {kept_path(FOLDER, name)}: {error}")
    names = list(dict.fromkeys([*found, *(named for one in SETTINGS if (named := os.environ.get(one)))]))
    return names, said + [fault for name in names if (fault := _fault(home, name, found.get(name)))]


def _fault(home: Path, name: str, kept: dict[str, Any] | None) -> str:
    kind, _, own = name.partition("/")
    by_kept = f"runs go by {kept_path(FOLDER, name)}"
    try:
        there = api.ask(home, f"/block_types/slug/{quote(kind)}/block_documents/name/{quote(own)}?include_secrets=true")
    except urllib.error.HTTPError as error:
        if error.code != NOT_FOUND:
            raise
        return f"the block {name} was deleted; {by_kept}" if kept else f"the block {name} does not exist, so nothing goes forward"
    return f"the block {name} is not as it was when it was first used; {by_kept}" if kept not in (None, there["data"]) else ""
