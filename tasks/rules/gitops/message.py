"""What a commit of ours says, and which paths it may touch."""

from __future__ import annotations

import re
from dataclasses import dataclass

from blocks.errors import BadInput
from blocks.outside_text import outside
from tasks.rules.gitops.edit import Edit

CHANGE = "Shipway-Change"
REVERTS = "Shipway-Reverts"
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")
SUBJECT_LIMIT = 72
VALUE_LIMIT = 500


@dataclass(frozen=True)
class Change:
    """One commit that a release wants.

    Fields:
        key: Names this change in the whole history of the repository: release and step, as `RELEASE/production/promote`. A change is never
            pushed twice under one key.
        edits: What it sets; several edits of one file are made in their order.
        service: What is released.
        version: Its version.
        release: The release's id.
        digest: What was approved.
        approvers: Who approved it.
        reason: Why it is released.
        token: The fencing token of the environment's lease.
        step: What of the release it is, if that takes several commits: the end of the commit's subject.
    """

    key: str
    edits: tuple[Edit, ...]
    service: str
    version: str
    release: str
    digest: str
    approvers: tuple[str, ...]
    reason: str
    token: int
    step: str = ""

    @property
    def revert_key(self) -> str:
        """Name the change that undoes this one."""
        return f"{self.key}:revert"


def check_change(change: Change) -> None:
    """Check a change before anything is done.

    Raises:
        BadInput: The key, a path or the list of edits is wrong.
    """
    if not KEY.fullmatch(change.key):
        fix = "Use letters, digits and `. _ : / -`, at most 200, beginning with a letter or digit."
        raise BadInput(f"`{change.key}` cannot stand in a trailer", field="key", fix=fix)
    if not change.edits:
        raise BadInput("the change edits nothing", field="edits", fix="Name one value at least.")
    for edit in change.edits:
        check_path(edit.file)


def check_path(path: str) -> None:
    """Check a path in a repository by its words; links are looked for where the file is read.

    Raises:
        BadInput: It is absolute, leaves the repository or its files, or is not plainly written.
    """
    parts = path.split("/")
    hidden = any(part.lower().rstrip(". ") in {".git", "git~1"} for part in parts)
    if not path.isprintable() or "\\" in path or ":" in path or hidden or any(part in {"", ".", ".."} for part in parts):
        fix = "Write it from the root of the repository, as `apps/shop/kustomization.yaml`."
        raise BadInput(f"the path {path!r} leaves the repository's files or is not plain", field="file", fix=fix)


def message_of(change: Change) -> str:
    """Write the commit message of a change."""
    return _message(f"Deploy {_subject(change)}", change, key=change.key, more=())


def revert_message_of(change: Change, commit: str) -> str:
    """Write the commit message of its revert.

    Args:
        change: What is undone.
        commit: The hash of the commit that made it; "" if it was never made, and this only keeps a late push of it out.
    """
    return _message(f"Revert {_subject(change)}", change, key=change.revert_key, more=((REVERTS, commit),))


def trailers_of(message: str) -> str:
    """Give the trailers of a message of ours."""
    return message.partition("\n\n")[2].strip()


def _subject(change: Change) -> str:
    return " ".join(one for one in (change.service, change.version, change.step) if one)


def _message(subject: str, change: Change, *, key: str, more: tuple[tuple[str, str], ...]) -> str:
    trailers = [
        (CHANGE, key),
        ("Shipway-Release", change.release),
        ("Shipway-Service", change.service),
        ("Shipway-Version", change.version),
        ("Shipway-Digest", change.digest),
        *(("Shipway-Approver", one) for one in change.approvers),
        ("Shipway-Reason", change.reason),
        ("Shipway-Token", str(change.token)),
        *more,
    ]
    lines = [f"{name}: {text}" for name, value in trailers if (text := outside(value, limit=VALUE_LIMIT))]
    return "\n".join([outside(subject, limit=SUBJECT_LIMIT), "", *lines, ""])
