"""The canonical form of a value, and its hash.

It is JSON with the keys of every object sorted by code point, no spaces, UTF-8 without escapes beyond those that JSON
demands, no NaN or infinity; sections of a plan and frozen dataclasses become objects, tuples become lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from pydantic import BaseModel


def canonical(value: Any) -> bytes:
    """Write a value in the canonical form of this module.

    Args:
        value: JSON's own kinds, sections of a plan, dataclasses, and lists, tuples and dicts of them; keys are text.

    Returns:
        The bytes; equal values give equal bytes.

    Raises:
        TypeError: It holds something else, or a key that is not text.
        ValueError: It holds NaN, an infinity or half a character.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json", by_alias=True))
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, Mapping):
        return {_key(key): _plain(member) for key, member in value.items()}
    message = f"{type(value).__name__} has no canonical form"
    raise TypeError(message)


def _key(key: Any) -> str:
    # json.dumps writes the keys 1 and "1" alike, so two values would share one digest.
    if isinstance(key, str):
        return key
    message = f"the key {key!r} is not text"
    raise TypeError(message)


def fingerprint(value: Any) -> str:
    """Give the SHA-256 of a value's canonical form, in 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
