"""What the doctor says of a block that workers use as the storage of results and records, if they use one."""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
from pathlib import Path
from typing import Any
from urllib.parse import quote

from blocks.errors import Refused
from blocks.key_folder.kept_files import NotKept, kept_names, kept_path, read_kept
from blocks.server import api

FOLDER = "storage"
WHAT = "the settings of the storage of results and records"
SETTINGS = ("PREFECT_DEFAULT_RESULT_STORAGE_BLOCK", "PREFECT_RESULTS_DEFAULT_STORAGE_BLOCK")
NOT_FOUND = 404
SECRETS = frozenset({
    "account_key", "aws_access_key_id", "aws_secret_access_key", "aws_session_token", "client_secret", "key", "minio_root_password",
    "minio_root_user", "password", "private_key", "private_key_id", "sas_token", "secret", "smb_password", "smb_username", "token",
    "username",
})  # fmt: skip
"""Fields of filesystem blocks, and of the credentials in them, that say who asks and never where; a connection string says both."""


def file_of(block: str) -> str:
    """Name the kept file of a block, `type/name`."""
    return block.replace("/", "_")


def address_of(document: dict[str, Any]) -> str:
    """Name where a block leads, as a hash of all but its secrets: with other ones it leads to the same place."""
    data = _without_secrets(document["data"])
    return hashlib.sha256(json.dumps([document.get("block_type_name"), data], sort_keys=True).encode()).hexdigest()


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {name: one for name, one in value.items() if not (name in SECRETS and isinstance(one, str | None))}
        return {name: _without_secrets(one) for name, one in plain.items()}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value


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
            found[str(kept["block"])] = dict(kept["document"])
        except NotKept as error:
            said.append(f"{error}; the next run keeps the block anew, if it leads to the same place")
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
    moved = kept is not None and address_of(kept) != address_of({**there, "block_type_name": there["block_type"]["name"]})
    return f"the block {name} is not as it was when it was first used; {by_kept}" if moved else ""
