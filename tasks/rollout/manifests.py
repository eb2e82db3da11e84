"""Manifests of a plan's migrations: found and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blocks.errors import BadInput
from tasks.process.files import read_named
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.job_manifest import MAX_BYTES, read_manifest


def read_manifests(plan: Plan, folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Read every manifest that a plan's migrations name.

    Args:
        plan: The plan.
        folder: Its folder.

    Returns:
        The Jobs by the migration's name, with their placeholders, and a sentence for each that cannot be read; a rollback needs none.
    """
    found: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for number, migration in enumerate(plan.migrations):
        try:
            found[migration.name] = _read(folder, migration.manifest, field=f"migrations[{number}].manifest")
        except BadInput as error:
            problems.append(str(error))
    return found, problems


def _read(folder: Path, path: str, *, field: str) -> dict[str, Any]:
    content = read_named(folder, path, field=field, limit_bytes=MAX_BYTES, what="the file with the Job")
    return read_manifest(content, name=path, field=field)
