"""What a release reads from the working tree and is not as it was tagged: the plan, its tests, suites and Jobs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tasks.evidence.change_log import ask_git, commit_of, tag_of
from tasks.process.files import read_bounded
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.plan import Plan

LISTED, LARGEST_BYTES = 5, 2_000_000
HASHES = {40: "sha1", 64: "sha256"}  # by the length of a name in hexadecimal digits
FILE_MODES = {"100644", "100755"}


async def untagged(taken: TakenPlan, version: str) -> str:
    """Say which files are not as the version's tag has them; "" if all are.

    No filter of the repository runs: each file's own hash is compared, with its line ends as they are, or as Git keeps them.

    Args:
        taken: The plan, and where it lies.
        version: The version under release.

    Raises:
        BadInput: There is no such tag, or Git cannot read it.
        Temporary: Git timed out.
    """
    plan, top = taken.parsed(), Path(taken.repository)
    paths = [path for path in (_below(top, Path(one)) for one in _named(plan, taken)) if path]
    commit = await commit_of(taken.folder, plan.change_log, version)
    listed = await ask_git(taken.repository, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
    tagged = dict(_files(listed))
    unlike = await asyncio.to_thread(_unlike, top, tagged)
    missing = [path for path in paths if not any(one == path or one.startswith(f"{path}/") for one in tagged)]
    names = sorted({*unlike, *missing})
    if not names:
        return ""
    shown = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    return f"not as in the tag {tag_of(plan.change_log, version)}, but as in the working folder: {shown}"


def _named(plan: Plan, taken: TakenPlan) -> Iterator[str]:
    """Give the plan, and the files and folders that it names and that a commit has; the reports of tests are written later."""
    yield taken.path
    smoke = [test.pytest for test in plan.verification.smoke if test.pytest]
    for path in (*smoke, *(suite.suite for suite in plan.data), *(migration.manifest for migration in plan.migrations)):
        yield str(Path(taken.folder, path))


def _below(top: Path, path: Path) -> str:
    """Give a path as Git names it; "" if it lies outside."""
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else ""


def _files(listed: str) -> Iterator[tuple[str, str]]:
    for entry in filter(None, listed.split("\0")):
        facts, _, path = entry.partition("\t")
        mode, _, name = facts.split(" ", 2)
        if mode in FILE_MODES:
            yield path, name


def _unlike(top: Path, tagged: Mapping[str, str]) -> list[str]:
    return [path for path, name in tagged.items() if not _is_like(top / path, name)]


def _is_like(file: Path, name: str) -> bool:
    try:
        content = read_bounded(file, limit_bytes=LARGEST_BYTES)
    except (OSError, ValueError):
        return False
    return content is not None and name in {_name(one, digits=len(name)) for one in (content, content.replace(b"\r\n", b"\n"))}


def _name(content: bytes, *, digits: int) -> str:
    """Give the name that Git has for a file's content."""
    return hashlib.new(HASHES[digits], b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
