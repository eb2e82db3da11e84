"""Where each platform block led when a release last acted through it, as files beside the approval key: `places/BLOCK.json`.

A block can be edited through the API by whoever has its password. A rollback needs no approval and must reach what was deployed all the
same, so the settings that find an environment are kept where the API cannot write. Secrets are not kept; the block has them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from blocks.approvers.key_file import key_path, replace_file
from blocks.approvers.policy_files import expect_safe
from blocks.errors import Refused

MAX_BYTES = 1_000_000


class Kept(NamedTuple):
    """What a block was set to.

    Fields:
        identity: What it pointed to, see `blocks.platform.Identified`; "" if it does not say.
        settings: Its fields by name, but for those that hold a secret.
    """

    identity: str
    settings: dict[str, Any]


def plain_settings(block: object) -> dict[str, Any]:
    """Give the settings of a block as JSON values; a field that holds a secret anywhere, or is not JSON, is left out.

    An empty secret is none: that a field was empty is part of where a block led.
    """
    found: dict[str, Any] = {}
    for name in type(block).model_fields if isinstance(block, BaseModel) else ():
        value = getattr(block, name)
        if _has_secret(value):
            continue
        try:
            found[name] = to_jsonable_python(value)
        except PydanticSerializationError:
            continue
    return found


def keep_place(block: str, kept: Kept) -> None:
    """Keep what a block is set to, unless that is what is kept already.

    Args:
        block: The block, as `type/name`.
        kept: Its settings.

    Raises:
        Refused: The folder cannot be written, or what is there was written by others.
    """
    path = _path(block)
    try:
        if read_place(block) == kept:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, json.dumps(kept._asdict()).encode() + b"\n")
    except OSError as error:
        raise Refused(f"{path}, by which a rollback finds the environment, cannot be written: {error.strerror}") from None


def read_place(block: str) -> Kept | None:
    """Read what a block was set to when a release last acted through it; None if none did.

    Raises:
        Refused: The file is unsafe or cannot be read.
    """
    path = _path(block)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            expect_safe(path, os.fstat(descriptor))
            found = json.loads(file.read(MAX_BYTES))
        return Kept(str(found["identity"]), dict(found["settings"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}, by which a rollback finds the environment, cannot be read: {error}") from None


def _path(block: str) -> Path:
    return key_path().parent / "places" / f"{block.replace('/', '_')}.json"


def _has_secret(value: object) -> bool:
    if isinstance(value, SecretStr | SecretBytes):
        return bool(value.get_secret_value())
    if isinstance(value, BaseModel):
        return any(_has_secret(getattr(value, name)) for name in type(value).model_fields)
    if isinstance(value, Mapping):
        return any(map(_has_secret, value.values()))
    return isinstance(value, list | tuple | set | frozenset) and any(map(_has_secret, value))
