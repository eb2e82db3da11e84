"""Blocks file: platforms and other blocks as YAML, by `type/name`, from bytes to validated blocks or to all problems at once.

A value `{env: NAME}` is taken from the environment of whoever applies the file, so that no secret stands in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tasks.rules.plan.file import read_document
from tasks.rules.plan.problems import Problem, in_words, spell
from tasks.rules.plan.types import BLOCK, PATTERN_WORDS
from tasks.rules.plan.yaml_tree import Path, Tree

BEGIN = "Begin with a block, as `local/guestbook-staging:` and its fields below it."
Kind = TypeVar("Kind", bound=BaseModel)


def read_blocks(
    text: str | bytes, *, name: str, kinds: Mapping[str, type[Kind]], environ: Mapping[str, str]
) -> tuple[dict[str, Kind], list[Problem]]:
    """Read a file of blocks.

    Args:
        text: The file's content; bytes must be UTF-8. More than 1 MB is refused unread.
        name: The file as the reader knows it, for the problems.
        kinds: The block classes that may stand in it, by the type's slug.
        environ: Where `{env: NAME}` is looked up.

    Returns:
        The blocks by `type/name` and no problem, or nothing and every problem found, in the order of the file.
    """
    tree, problems = read_document(text, name=name, begin=BEGIN)
    found: dict[str, Kind] = {}
    for key, fields in (tree.value if tree else {}).items():
        block, faults = _read_block(str(key), fields, tree or Tree(), name=name, kinds=kinds, environ=environ)
        problems += faults
        if block is not None:
            found[str(key)] = block
    return ({} if problems else found), sorted(problems, key=lambda problem: (problem.line, problem.column))


def _read_block(
    key: str, fields: object, tree: Tree, *, name: str, kinds: Mapping[str, type[Kind]], environ: Mapping[str, str]
) -> tuple[Kind | None, list[Problem]]:
    slug = key.partition("/")[0]
    if not re.fullmatch(BLOCK, key):
        return None, [_problem(tree, (key,), name, f"`{key}` does not fit", PATTERN_WORDS[BLOCK])]
    if slug not in kinds:
        return None, [
            _problem(tree, (key,), name, f"`{slug}` is not a type of block that a file can hold", f"There are: {', '.join(kinds)}.")
        ]
    if not isinstance(fields, dict):
        return None, [_problem(tree, (key,), name, "must be a section (`name: value` lines)", "Write its fields below it.")]
    missing: list[Problem] = []
    values = _filled(fields, (key,), tree, name=name, environ=environ, missing=missing)
    kind = kinds[slug]
    unknown = [{"type": "extra_forbidden", "loc": (key, field)} for field in values if field not in kind.model_fields]
    block, details = _validated(kind, {field: value for field, value in values.items() if field in kind.model_fields})
    found = [*({**detail, "loc": (key, *detail["loc"])} for detail in details), *unknown]
    own = kind.model_json_schema()
    schema = {"properties": {key: own}, "$defs": own.get("definitions") or own.get("$defs") or {}}  # Prefect's blocks have `definitions`
    problems = [*missing, *in_words(found, tree, schema=schema, name=name)]
    return (None if problems else block), problems


def _validated(kind: type[Kind], values: dict[str, Any]) -> tuple[Kind | None, list[dict[str, Any]]]:
    try:
        return kind.model_validate_json(json.dumps(values), strict=True), []
    except ValidationError as error:
        return None, [dict(detail) for detail in error.errors(include_url=False, include_input=False)]


def _filled(value: Any, path: Path, tree: Tree, *, name: str, environ: Mapping[str, str], missing: list[Problem]) -> Any:
    """Put the environment's values in the places of `{env: NAME}`; those that are not set are noted in `missing`."""
    if isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str):
        if value["env"] in environ:
            return environ[value["env"]]
        fix = f"Set it for this command, as `{value['env']}=… shipway blocks apply {name}`."
        missing.append(_problem(tree, path, name, f"the environment variable {value['env']} is not set", fix))
        return ""
    if isinstance(value, dict):
        return {field: _filled(one, (*path, field), tree, name=name, environ=environ, missing=missing) for field, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, (*path, index), tree, name=name, environ=environ, missing=missing) for index, one in enumerate(value)]
    return value


def _problem(tree: Tree, path: Path, name: str, message: str, fix: str) -> Problem:
    line, column = tree.keys.get(path) or tree.places.get(path, (1, 1))
    return Problem(name, line, column, spell(path), message, fix)
