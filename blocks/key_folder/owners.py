"""Owners of environments: which service a platform block belongs to, and as what it uses it, as files beside the approval key.

owners/BLOCK.json         the service that was the first to deploy through this block, and whether to its staging or its production
owners/at-HASH.json       the same for what the block points to and for each thing that it changes besides, whatever blocks point there
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from blocks.errors import Refused
from blocks.key_folder.key_file import key_path, write_once
from blocks.key_folder.policy_files import expect_safe

MAX_BYTES = 10_000


class Owner(NamedTuple):
    """Who an environment belongs to.

    Fields:
        service: The service.
        block: The block through which it deployed first.
        section: Which section of its plan that was.
        thing: What of the environment it is, in the words of that block, as `the Service shop/web`; "" for the whole.
    """

    service: str
    block: str
    section: str
    thing: str = ""


def owner_folder() -> Path:
    """Return the folder of the owners."""
    return key_path().parent / "owners"


def owner_file(block: str) -> Path:
    """Name the file of a platform block, as `type/name`."""
    return owner_folder() / f"{block.replace('/', '_')}.json"


def file_of_thing(identity: str) -> Path:
    """Name the file of what blocks point to: the environment, see `blocks.platform.Identified`, or a thing of `blocks.touching`."""
    return owner_folder() / f"at-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"


def read_owner(path: Path) -> Owner | None:
    """Read an owner; None if there is none yet.

    Raises:
        Refused: The file is unsafe or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            expect_safe(path, os.fstat(descriptor))
            found = json.loads(file.read(MAX_BYTES))
        return Owner(str(found["service"]), str(found["block"]), str(found["section"]), str(found["thing"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise Refused(f"{path}, which says to which service an environment belongs, cannot be read: {error}") from None
    except KeyError as error:
        raise Refused(f"{path}, which says to which service an environment belongs, cannot be read: it has no {error}") from None


def claim(path: Path, owner: Owner) -> Owner:
    """Make a service the owner unless there is one, and give the owner; of two at once one comes first.

    Raises:
        Refused: The file cannot be written or read.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, json.dumps(owner._asdict()).encode() + b"\n")
    except OSError as error:
        raise Refused(f"{path}, which says to which service an environment belongs, cannot be written: {error.strerror}") from None
    return read_owner(path) or owner
