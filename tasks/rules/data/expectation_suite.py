"""Suite file, read without great-expectations: its structure, and its expectations' arguments by their JSON Schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.rules.plan.problems import spell
from tasks.rules.plan.yaml_tree import Tree, read_tree

MAX_BYTES = 1_000_000
LONGEST = 200
TYPE = r"^(expect_[a-z0-9_]+|unexpected_rows_expectation)$"
OURS = {"result_format", "catch_exceptions", "severity", "meta", "description", "notes", "batch_id", "id"}
Schemas = Mapping[str, Mapping[str, Any]]
"""By expectation: the JSON Schema of its kwargs, empty if there is none."""


class Expectation(BaseModel):
    """One expectation of a suite, as great-expectations writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Annotated[str, Field(pattern=TYPE, max_length=200)]
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["critical", "warning", "info"] = "critical"
    meta: dict[str, Any] | None = None
    description: str | None = None
    notes: str | list[str] | None = None
    id: str | None = None


class Suite(BaseModel):
    """A suite; one without expectations could not fail, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(max_length=200)] = ""
    expectations: Annotated[list[Expectation], Field(min_length=1, max_length=500)]
    meta: dict[str, Any] | None = None
    notes: str | list[str] | None = None
    id: str | None = None


def read_suite(content: bytes, *, name: str, schemas: Schemas) -> tuple[Suite | None, list[str]]:
    """Read a suite's file.

    Args:
        content: The file, UTF-8; YAML or JSON.
        name: The file as the reader knows it, for the problems.
        schemas: The expectations of the installed great-expectations; empty if not known, which leaves the names unchecked.

    Returns:
        The suite and no problem, or None and every problem: file, line, field, fault.
    """
    if len(content) > MAX_BYTES:
        return None, [f"{name}: the file has {len(content):,} bytes, more than {MAX_BYTES:,}; check that it is the suite"]
    try:
        tree = read_tree(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return None, [f"{name}: the file is not UTF-8"]
    problems = [f"{name}:{fault.place[0]}:{fault.place[1]} {_spelled(fault.path)}: {fault.message}. {fault.fix}" for fault in tree.faults]
    if problems:
        return None, problems
    if not isinstance(tree.value, dict):
        return None, [f"{name}: the file is not a suite; begin with `expectations:` and a list"]
    try:
        suite = Suite.model_validate_json(json.dumps(tree.value), strict=True)
    except ValidationError as error:
        return None, [_place(name, tree, found["loc"], _in_words(found)) for found in error.errors(include_url=False)]
    problems = [
        _place(name, tree, ("expectations", number, *path), message)
        for number, expectation in enumerate(suite.expectations)
        for path, message in _faults(expectation, schemas)
    ]
    return (None, problems) if problems else (suite, [])


def _faults(expectation: Expectation, schemas: Schemas) -> list[tuple[tuple[str | int, ...], str]]:
    """Check an expectation against great-expectations' schemas."""
    unwanted = sorted(OURS & set(expectation.kwargs))
    found: list[tuple[tuple[str | int, ...], str]] = [
        (("kwargs", name), f"`{name}` is not an argument here; remove it, or write it beside `kwargs`") for name in unwanted
    ]
    if schemas and expectation.type not in schemas:
        return [*found, (("type",), f"`{expectation.type}` is not an expectation of the installed great-expectations")]
    schema = schemas.get(expectation.type, {})
    if not schema:
        return found
    arguments = {name: value for name, value in expectation.kwargs.items() if name not in OURS and value is not None}
    from jsonschema import Draft7Validator  # noqa: PLC0415 - a tenth of a second, needed only here

    # `mostly: 0.07` is not a multiple of 0.01 in binary, and great-expectations takes 0.999 too.
    errors = [error for error in Draft7Validator(schema).iter_errors(arguments) if error.validator != "multipleOf"]
    return found + [(("kwargs", *error.absolute_path), _bounded(error.message)) for error in errors]


def _bounded(message: str) -> str:
    return message if len(message) <= LONGEST else message[:LONGEST] + " …"


def _in_words(found: Mapping[str, Any]) -> str:
    kind = str(found["type"])
    known = {
        "missing": "is missing",
        "extra_forbidden": "is unknown here",
        "too_short": "is empty: a suite without expectations could not fail",
        "string_pattern_mismatch": "is not the name of an expectation; write it as `expect_column_values_to_not_be_null`",
    }
    return known.get(kind, str(found["msg"]))


def _place(name: str, tree: Tree, path: tuple[str | int, ...], message: str) -> str:
    here = path
    while here and here not in tree.keys and here not in tree.places:
        here = here[:-1]
    line, column = tree.keys.get(here) or tree.places.get(here, (1, 1))
    return f"{name}:{line}:{column} {_spelled(path)}: {message}"


def _spelled(path: tuple[str | int, ...]) -> str:
    return spell(path) if path else "suite"
