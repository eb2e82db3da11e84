"""The users of a kubeconfig that anyone may have edited, read as plain data within bounds: no text stops, delays or redirects its reader.

YAML can name what is not data (dates, bytes, sets), a value that holds itself, and a few lines that grow to gigabytes.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from pydantic import SecretStr

MOST_CHARACTERS, MOST_EVENTS, DEEPEST = 200_000, 10_000, 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 20 times as fast, if there is libyaml
_MERGE = "<<"


class _PlainLoader(_LOADER):  # type: ignore[misc]
    """Reads numbers and dates as the text that they are, as in a password of digits."""


for _tag in ("int", "float", "timestamp"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_tag}", yaml.constructor.SafeConstructor.construct_yaml_str)


def with_users_of(was: SecretStr, now: SecretStr) -> str:
    """Give a kubeconfig with the users of another one: it leads to the same clusters, with other credentials.

    If one of them is not plain data, or is too long or too deep, it is left as it was; nothing is raised.
    """
    text = was.get_secret_value()
    try:
        kept = _plain(text)
        users = _plain(now.get_secret_value())["users"]
        if not isinstance(kept, dict) or not all(isinstance(one["name"], str) and isinstance(one["user"], dict) for one in users):
            return text
        return json.dumps({**kept, "users": users}, ensure_ascii=False)
    except Exception:  # noqa: BLE001 - whatever is wrong with a text that others wrote
        return text


def _plain(text: str) -> Any:
    """Read YAML that is plain data.

    Raises:
        ValueError: It is too long, too deep, or refers to parts of itself.
        yaml.YAMLError, TypeError: It is not YAML, or not plain data.
    """
    if len(text) > MOST_CHARACTERS:
        raise ValueError
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if number > MOST_EVENTS or depth > DEEPEST or isinstance(event, yaml.AliasEvent) or getattr(event, "value", "") == _MERGE:
            raise ValueError
    found = yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - it is a safe one
    json.dumps(found, allow_nan=False)
    return found
