"""What may go into a record: plain JSON without secrets, cut if it is too long."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from pydantic import BaseModel

from blocks.secret_text import hide, mask_text
from tasks.rules.record.canonical import canonical

TEXT_LIMIT_BYTES = 64 * 1024
EVIDENCE_LIMIT_BYTES = 4 * 1024 * 1024
DECIDING = frozenset(
    {
        "act", "after", "approved", "bad", "before", "block", "choice", "compatibility", "current", "decision", "digest", "docs",
        "ending", "environment", "flow", "freeze_over", "gives_way_at", "held_by", "identity", "item", "key", "known", "left_out", "method",
        "migration", "names", "nonce", "not_before", "not_later_than", "now", "opened", "outcome", "owners", "plan", "position", "proof",
        "proofs", "release", "releases", "restored", "role", "service", "state", "steps", "suspends_until", "ticks", "version", "versions",
        "waits_for", "waits_until",
    }
)  # fmt: skip
"""Members of evidence that a release reads again, and that hold nothing from outside but names, versions and hashes.

What people write beside a tick is proved with it: an answer that holds a secret is refused before it is kept.
"""


def mask(value: Any, secrets: Iterable[str]) -> Any:
    """Replace every secret in every text of a value, keys included, in every spelling that `blocks.secret_text` knows.

    Args:
        value: JSON-like value.
        secrets: The secret texts; empty ones are left out.

    Returns:
        The same shape without the secrets.
    """
    known = frozenset(secret for secret in secrets if secret)
    return _walk(value, lambda text: mask_text(text, known)) if known else value


def hide_in(value: Any) -> Any:
    """Hide the secrets of this process in the texts of evidence; what decides how a release goes on stays as it is.

    A platform's variable may have a value that is a version, too: a rollback must find the version, not the mask.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {name: member if name in DECIDING else hide_in(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [hide_in(member) for member in value]
    return hide(value) if isinstance(value, str) else value


def secrets_in_header(value: str) -> list[str]:
    """List what must be masked for the secret value of a header: all of it, and what a service may say of it alone.

    Args:
        value: As `Bearer TOKEN`, `Basic BASE64` or a bare key.

    Returns:
        The value, the credentials behind its scheme, and a Basic password, each also as HTML writes it.
    """
    scheme, _, credentials = value.strip().partition(" ")
    found = {value, value.strip(), credentials.strip()}
    if scheme.lower() == "basic":
        with contextlib.suppress(ValueError):
            decoded = base64.b64decode(credentials, validate=True).decode()
            found |= {decoded, decoded.partition(":")[2]}
    return sorted({form for text in found if text for form in (text, html.escape(text))})


def bounded(value: dict[str, Any]) -> dict[str, Any]:
    """Make evidence plain JSON of a bounded size.

    Texts over 64 KB are cut with a note; a value that is still over 4 MB as a whole is replaced by its beginning and its
    SHA-256. Numbers that JSON does not know (NaN, infinities) become texts, unknown objects their text.

    Args:
        value: Anything.

    Returns:
        Plain JSON with a canonical form.
    """
    plain: dict[str, Any] = _walk(value, _cut)
    content = canonical(plain)
    if len(content) <= EVIDENCE_LIMIT_BYTES:
        return plain
    note = f"{len(content)} bytes are over the limit of {EVIDENCE_LIMIT_BYTES}; only the beginning is kept"
    beginning = content[:TEXT_LIMIT_BYTES].decode("utf-8", "replace")
    return {"cut": note, "sha256": hashlib.sha256(content).hexdigest(), "beginning": beginning}


def _walk(value: Any, change: Any) -> Any:
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {change(str(key)): _walk(member, change) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_walk(member, change) for member in value]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return change(str(value))


def _cut(text: str) -> str:
    content = text.encode("utf-8", "replace")
    if len(content) <= TEXT_LIMIT_BYTES:
        return content.decode()
    return content[:TEXT_LIMIT_BYTES].decode("utf-8", "ignore") + f" [cut: {len(content)} bytes in all]"
