"""Who holds an Application, beside the approval key: an old annotation that is put back has a right seal, too."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Any

from blocks.errors import Refused
from blocks.gitops.sync_pause import UNKNOWN, SyncPause
from blocks.key_folder.kept_files import read_kept, remove_kept, write_kept

FOLDER, WHAT = "holds", "which says who holds an Application"


def kept_hold(application: dict[str, Any], key: bytes) -> SyncPause | None:
    """Read who holds an Application; None if none does, `UNKNOWN` without a key or if that cannot be read."""
    try:
        found = read_kept(FOLDER, _name(application), what=WHAT) if key else None
        if found is not None:
            return SyncPause(str(found["owner"]), found["automated"], found["left"])
    except (Refused, KeyError):
        return UNKNOWN
    return None if key else UNKNOWN


def keep_hold(application: dict[str, Any], hold: SyncPause, key: bytes) -> None:
    """Keep who holds an Application, before that is written there; without it the annotation counts alone."""
    if key:
        with contextlib.suppress(Refused):
            write_kept(FOLDER, _name(application), asdict(hold), what=WHAT)


def forget_hold(application: dict[str, Any]) -> None:
    """Forget a hold that was released."""
    with contextlib.suppress(OSError):
        remove_kept(FOLDER, _name(application))


def _name(application: dict[str, Any]) -> str:
    return "".join(letter for letter in str(application["metadata"].get("uid") or "none") if letter.isalnum() or letter == "-")[:64]
