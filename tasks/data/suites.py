"""Suites of a plan: found and read without importing great-expectations, which takes five seconds."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

from blocks.errors import BadInput
from tasks.process.extras import require_extras
from tasks.process.files import read_named, repository_of
from tasks.rules.data.expectation_suite import MAX_BYTES, Schemas, Suite, read_suite
from tasks.rules.plan.paths import inside
from tasks.rules.plan.plan import Plan


def load_suite(folder: Path, path: str, *, field: str) -> Suite:
    """Read a suite.

    Args:
        folder: The plan's folder.
        path: As the plan names it.
        field: Where the plan names it, for messages.

    Returns:
        The suite, which great-expectations itself may still reject.

    Raises:
        BadInput: It is missing or broken; the message has every problem.
    """
    content = read_named(folder, path, field=field, limit_bytes=MAX_BYTES, what="the suite's file")
    suite, problems = read_suite(content, name=path, schemas=known_expectations())
    if suite is None:
        raise BadInput("; ".join(problems), field=field, fix="docs/data.md shows a suite.")
    return suite


def broken_suites(plan: Plan, folder: Path) -> tuple[list[str], list[str]]:
    """Check every suite that a plan names.

    Args:
        plan: The plan.
        folder: Its folder.

    Returns:
        Problems (a suite that is not there or broken, a missing extra), and warnings (files of data that are not there yet).
    """
    try:
        require_extras(plan)
    except BadInput as error:
        return [str(error)], []
    problems, warnings = [], []
    for number, one in enumerate(plan.data):
        try:
            load_suite(folder, one.suite, field=f"data[{number}].suite")
        except BadInput as error:
            problems.append(str(error))
        pattern = one.csv or one.parquet
        field = f"data[{number}].{'csv' if one.csv else 'parquet'}"
        try:
            if pattern and not data_files(folder, pattern, field=field):
                warnings.append(f"{field}: no file is {pattern} yet. Without one the suite has no data, which is not a pass.")
        except BadInput as error:
            problems.append(str(error))
    return problems, warnings


def data_files(folder: Path, pattern: str, *, field: str) -> list[str]:
    """Find the files of a table.

    Args:
        folder: The plan's folder.
        pattern: As the plan names them, `*` for any part of a name.
        field: Where the plan names them, for messages.

    Returns:
        Real paths in the order of their names.

    Raises:
        BadInput: The pattern is invalid, or one of the files lies outside the repository.
    """
    inside(folder, pattern)
    try:
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
    except (ValueError, OSError) as error:
        raise BadInput(f"`{pattern}` is not a valid pattern: {error}", field=field, fix="Write it as `exports/*.csv`.") from None
    repository = repository_of(folder)
    strangers = [path for path in found if not path.resolve().is_relative_to(repository)]
    if strangers:
        raise BadInput(f"{strangers[0].name} is a link that leaves the repository", field=field, fix="Put the file itself there.")
    return [str(path.resolve()) for path in found]


@cache
def known_expectations() -> Schemas:
    """List the expectations of the installed great-expectations, from its files: by name, the JSON Schema of its arguments."""
    found = importlib.util.find_spec("great_expectations")
    if found is None or found.origin is None:
        return {}
    core = Path(found.origin).parent / "expectations" / "core"
    names = [file.stem for file in core.glob("*expect*.py")]
    schemas = {_flat(file.stem): json.loads(file.read_text(encoding="utf-8")) for file in core.glob("schemas/*.json")}
    return {name: schemas.get(_flat(name), {}) for name in names}


def _flat(name: str) -> str:
    return name.replace("_", "").lower()
