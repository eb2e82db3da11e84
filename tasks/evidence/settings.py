"""Fingerprint of a block's settings, its secrets included: what was approved is what is deployed.

A secret goes in as an HMAC under a key derived from the approval key: the fingerprint changes with it, and says nothing about it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from blocks.key_folder.key_file import derive, key_path, read_key
from blocks.kubernetes.api.credentials import kubeconfig_from
from blocks.platform import Composed
from tasks.rules.record.canonical import fingerprint


def settings_fingerprint(block: Any, more: Mapping[str, Any] | None = None) -> str:
    """Hash all that a block is set to.

    Args:
        block: A block, a platform that is made of several, or anything else, which has no settings.
        more: What else counts, with its secrets as `SecretStr`.

    Returns:
        64 hexadecimal digits; another value of any field, secret or not, gives others.

    Raises:
        Refused: The approval key cannot be used.
    """
    key = derive(read_key(key_path()), "digest")
    settings: Mapping[str, Any] = {}
    if isinstance(block, Composed):
        settings = block.parts()
    elif isinstance(block, BaseModel):
        settings = {name: getattr(block, name) for name in type(block).model_fields}
    return fingerprint({"settings": _hashed(settings, key), **({"more": _hashed(more, key)} if more else {})})


async def reached_by(platform: Any) -> dict[str, Any]:
    """Read which cluster a platform reaches by a block of credentials that it names; empty if it names none.

    The users in it are left out: a cloud's token lasts an hour, which is less than many an approval waits.

    Raises:
        BadInput: That block cannot be read.
    """
    if isinstance(platform, Composed):
        found = {part: await reached_by(block) for part, block in platform.parts().items()}
        return {part: one for part, one in found.items() if one}
    name = getattr(platform, "credentials", "")
    content = json.loads(await kubeconfig_from(name) or "{}") if name else {}
    return {part: SecretStr(json.dumps(found, sort_keys=True)) for part, found in content.items() if part != "users"}


def _hashed(value: Any, key: bytes) -> Any:
    """Replace each secret in a value by its keyed hash, in an object that no plain value is written as."""
    if isinstance(value, SecretStr | SecretBytes):
        found = value.get_secret_value()
        content = found.encode("utf-8", "surrogatepass") if isinstance(found, str) else found
        return {"type": "secret", "hmac": hmac.new(key, content, hashlib.sha256).hexdigest()}
    if isinstance(value, BaseModel):
        return _hashed({name: getattr(value, name) for name in type(value).model_fields}, key)
    if isinstance(value, Mapping):
        return {"type": "object", "members": {str(name): _hashed(member, key) for name, member in value.items()}}
    if isinstance(value, list | tuple):
        return [_hashed(member, key) for member in value]
    return to_jsonable_python(value)
