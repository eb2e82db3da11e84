"""Secrets: which values of a Pod or a Secret must not be read in a line, and how they are masked."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterable
from typing import Any

from blocks.secret_text import MASK, mask_text

Json = dict[str, Any]
LINE_LENGTH = 2_000
SHORTEST_SECRET, SHORTEST_HELD = 4, 6
MOST_SECRET_LINES = 100
CREDENTIALS = re.compile(r"(://[^/@\s:]*:)[^/@\s]+@")
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|DSN|DATABASE_URL", re.IGNORECASE)


def secrets_of(pod: Json) -> list[str]:
    """List the values that a pod's manifest writes out under the name of a secret, each line of a longer one by itself."""
    spec = pod["spec"]
    variables = [
        one for part in ("initContainers", "containers") for container in spec.get(part) or [] for one in container.get("env") or []
    ]
    values = {str(one["value"]) for one in variables if one.get("value") and SECRET_NAME.search(one["name"])}
    single = {value for value in values if len(value) >= SHORTEST_SECRET and len(value.splitlines()) == 1}
    return sorted({value.strip() for value in single} | set(_lines_of(values - single)), key=len, reverse=True)


def values_of(secret: Json) -> list[str]:
    """List the texts of a Secret that can stand in a line, each line of a longer one by itself; short words do not count as secrets."""
    texts: list[str] = []
    for value in (secret.get("data") or {}).values():
        with contextlib.suppress(ValueError):
            texts.append(base64.b64decode(str(value)).decode())
    return _lines_of(texts)


def _lines_of(texts: Iterable[str]) -> list[str]:
    """A text with its line ends in it would never be in one line, and as a secret it would join those that it is printed in."""
    lines = [line.strip() for text in texts for line in text.splitlines()[:MOST_SECRET_LINES]]
    return [line for line in lines if SHORTEST_HELD <= len(line) <= LINE_LENGTH]


def mask(lines: list[str], secrets: list[str], *, limit: int = LINE_LENGTH) -> list[str]:
    """Replace secrets in lines, however they are spelled, and the passwords of addresses; then cut the lines, to 2,000 characters."""
    text = mask_text("\n".join(lines), frozenset(secrets))
    return [CREDENTIALS.sub(rf"\1{MASK}@", line)[:limit] for line in text.split("\n")] if lines else []
