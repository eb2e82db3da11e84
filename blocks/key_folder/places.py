"""Where each platform block led when a release last acted through it, whole: `places/BLOCK.kept` beside the approval key.

A block, and those that it names, can be edited through the API by whoever has its password. A rollback needs no approval and must reach
what was deployed all the same, so what it needs is kept where the API cannot write: all settings, secrets included, encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.types import Secret
from pydantic_core import PydanticSerializationError, to_jsonable_python

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_names, read_kept, write_kept

FOLDER = "places"
WHAT = "the settings that a rollback goes by"


class Kept(NamedTuple):
    """What a platform was.

    Fields:
        identity: What it pointed to, see `blocks.platform.Identified`; "" if it does not say.
        parts: The settings of each block that it is made of, by `type/name`, secrets in plain.
    """

    identity: str
    parts: dict[str, dict[str, Any]]


def whole_settings(block: object) -> dict[str, Any]:
    """Give the settings of a block as JSON values, secrets in plain; a field that is not JSON is left out."""
    found: dict[str, Any] = {}
    for name in type(block).model_fields if isinstance(block, BaseModel) else ():
        try:
            value = to_jsonable_python(_revealed(getattr(block, name)))
            json.dumps(value)
        except (PydanticSerializationError, ValueError, TypeError):
            continue
        found[name] = value
    return found


def keep_place(block: str, kept: Kept) -> None:
    """Keep what a platform is, unless that is what is kept already.

    Args:
        block: Its block, as `type/name`.
        kept: Its settings.

    Raises:
        Refused: The key or its folder cannot be used, or what is there was written by others.
    """
    write_kept(FOLDER, block, kept._asdict(), what=WHAT)


def read_place(block: str) -> Kept | None:
    """Read what a platform was when a release last acted through it; None if none did.

    Raises:
        Refused: The file is unsafe, was changed, or cannot be read.
    """
    found = read_kept(FOLDER, block, what=WHAT)
    try:
        return None if found is None else Kept(str(found["identity"]), {str(name): dict(one) for name, one in found["parts"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"{WHAT} of {block} cannot be read: {type(error).__name__}") from None


def kept_blocks(kind: str) -> list[str]:
    """Name the blocks of a type through which a release has acted, as `type/name`."""
    beginning = f"{kind}_"
    return [f"{kind}/{one.removeprefix(beginning)}" for one in kept_names(FOLDER, beginning=beginning)]


def _revealed(value: object) -> object:
    """Replace each secret in a value by what it hides."""
    if isinstance(value, SecretStr | SecretBytes | Secret):
        return _revealed(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: _revealed(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): _revealed(member) for name, member in value.items()}
    return [_revealed(member) for member in value] if isinstance(value, list | tuple | set | frozenset) else value
