"""What people approve: one hash over the plan, the version, the changes, what runs now, and where it goes.

The canonical form is JSON with the keys of every object sorted by code point, no spaces, UTF-8 without escapes beyond
those that JSON demands, no NaN or infinity; sections of a plan and frozen dataclasses become objects, tuples become
lists. The digest is the SHA-256 of that, in lower-case hexadecimal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:  # the record needs only `canonical`, and building the plan's models takes time
    from tasks.rules.evidence.change_log import ChangeLog
    from tasks.rules.plan.plan import Plan


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


def digest(
    plan: Plan,
    version: str,
    change_log: ChangeLog,
    current: Mapping[str, str | None],
    platforms: Mapping[str, str],
    manifests: Mapping[str, Any] | None = None,
) -> str:
    """Hash what an approval is for.

    Args:
        plan: The plan.
        version: The version under release.
        change_log: The changes that it brings.
        current: The version that runs now, by environment; None where none does.
        platforms: The fingerprint of the platform's settings, by environment: the plan only names them.
        manifests: The Jobs of the plan's migrations, by name: the plan only names them, too.

    Returns:
        64 hexadecimal digits; another value of any of these gives another digest.
    """
    whole = {"change_log": change_log, "current": dict(current), "plan": plan, "platforms": dict(platforms), "version": version}
    return fingerprint({**whole, "manifests": dict(manifests)} if manifests else whole)


def fingerprint(value: Any) -> str:
    """Give the SHA-256 of a value's canonical form, in 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()
