"""Files of a plan: found without leaving the repository, and read within bounds."""

from __future__ import annotations

import stat
from pathlib import Path

from blocks.errors import BadInput
from tasks.rules.plan.paths import inside
from tasks.rules.plan.plan import Junit, Plan


def repository_of(folder: Path) -> Path:
    """Find the Git repository that a folder lies in; without one, the folder itself."""
    real = folder.resolve()
    return next((place for place in (real, *real.parents) if (place / ".git").exists()), real)


def resolve_inside(folder: Path, path: str, *, field: str) -> Path:
    """Find a file that a plan names.

    Args:
        folder: The plan's folder.
        path: As the plan names it.
        field: Where the plan names it, for messages.

    Returns:
        The real path, links followed; it need not exist.

    Raises:
        BadInput: It leaves the plan's folder by its words, or the repository by a link.
    """
    named = Path(inside(folder, path))
    repository = repository_of(folder)
    try:
        real = named.resolve()
    except (OSError, RuntimeError) as error:
        raise BadInput(f"`{path}` cannot be resolved: {error}", field=field, fix="Check its links.") from None
    if not real.is_relative_to(repository):
        raise BadInput(f"`{path}` is a link that leaves the repository", field=field, fix="Put the file itself into the repository.")
    return real


def read_bounded(path: Path, *, limit_bytes: int) -> bytes | None:
    """Read a regular file.

    Args:
        path: The file.
        limit_bytes: Of a longer file one byte more than this is read, so that the caller sees that it is longer.

    Returns:
        The bytes, or None if the file does not exist.

    Raises:
        OSError: It exists and cannot be read, or is a folder, a pipe or a device.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # checked before opening: a pipe would wait for its writer
            message = f"{path.name} is not a regular file"
            raise OSError(message)
        with path.open("rb") as file:
            return file.read(limit_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_named(folder: Path, path: str, *, field: str, limit_bytes: int, what: str) -> bytes:
    """Read a file that a plan names and that must exist.

    Args:
        folder: The plan's folder.
        path: As the plan names it.
        field: Where the plan names it, for messages.
        limit_bytes: As in `read_bounded`.
        what: What the file is, for messages: "the suite's file".

    Raises:
        BadInput: It does not exist, cannot be read, or lies outside.
    """
    file = resolve_inside(folder, path, field=field)
    try:
        content = read_bounded(file, limit_bytes=limit_bytes)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error}", field=field, fix=f"Name {what}.") from None
    if content is None:
        raise BadInput(f"{path} does not exist", field=field, fix="Add it, or fix the path; it starts in the plan's folder.")
    return content


def missing_files(plan: Plan, folder: Path) -> tuple[list[str], list[str]]:
    """Check that the files that a plan names exist.

    Args:
        plan: The plan.
        folder: Its folder.

    Returns:
        Problems (a missing smoke test, a link that leaves the repository), and warnings (a report that the tests still have to write).
    """
    problems, warnings = [], []
    reports = [(f"tests[{i}].junit", one.junit) for i, one in enumerate(plan.tests) if isinstance(one, Junit)]
    smoke = [(f"verification.smoke[{i}].pytest", test.pytest) for i, test in enumerate(plan.verification.smoke) if test.pytest]
    changed = [(f"change_log.paths[{i}]", path) for i, path in enumerate(plan.change_log.paths)]
    for field, path in [*reports, *smoke, *changed]:
        try:
            there = resolve_inside(folder, path, field=field).exists()
        except BadInput as error:
            problems.append(str(error))
            continue
        if not there and field.startswith("tests"):
            warnings.append(f"{field}: {path} does not exist yet. Run the tests before the release.")
        elif not there and field.startswith("change_log"):
            warnings.append(f"{field}: {path} does not exist now. Check its spelling; it starts in the plan's folder.")
        elif not there:
            problems.append(f"{field}: {path} does not exist. Add it, or fix the path; it starts in the plan's folder.")
    return problems, warnings
