"""Plan file: from bytes to a plan, or another section, or to all problems at once, each with its place and fix."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks.rules.plan.plan import Plan
from tasks.rules.plan.problems import Problem, in_words, spell
from tasks.rules.plan.types import Section
from tasks.rules.plan.yaml_tree import Tree, read_tree

__all__ = ["MAX_BYTES", "Problem", "read_document", "read_plan", "read_section", "says_plan"]

MAX_BYTES = 1_000_000
Kind = TypeVar("Kind", bound=Section)


def read_plan(text: str | bytes, *, name: str) -> tuple[Plan | None, list[Problem]]:
    """Read a plan, see `read_section`."""
    return read_section(text, name=name, model=Plan, noun="plan", begin="Begin with `shipway: 1` and `service: NAME`.")


def says_plan(text: str | bytes, *, name: str) -> bool:
    """Say if a file says at its top that it is a plan: `shipway: 1`, or another number; nothing of any other file may be quoted.

    Args:
        text: Its content.
        name: The file, as for `read_plan`.
    """
    tree, _ = read_document(text, name=name, begin="")
    if tree is not None:
        return type(tree.value.get("shipway")) is int
    decoded, problem = _decode(text, name=name)
    return (
        problem is None and len(text) <= MAX_BYTES and re.search(r"^shipway:[ \t]+[0-9]+[ \t\r]*(#.*)?$", decoded, re.MULTILINE) is not None
    )


def read_section(text: str | bytes, *, name: str, model: type[Kind], noun: str, begin: str) -> tuple[Kind | None, list[Problem]]:
    """Read a file of one section.

    Args:
        text: The file's content; bytes must be UTF-8. More than 1 MB is refused unread.
        name: The file as the reader knows it, for the problems.
        model: The section.
        noun: What it is called: `plan`.
        begin: How it begins, for a file that is empty.

    Returns:
        The section and no problem, or None and every problem found, in the order of the file.
    """
    found, problems = _read(text, name=name, model=model, begin=begin)
    if noun == "plan":
        return found, problems
    return found, [_about(problem, noun) for problem in problems]


def _about(problem: Problem, noun: str) -> Problem:
    """Let a problem speak of another kind of file than a plan."""
    fix = problem.fix.replace("docs/plan.yaml", f"docs/{noun}.md").replace("A plan is", f"A {noun} is")
    return replace(problem, field=noun if problem.field == "plan" else problem.field, fix=fix)


def _read(text: str | bytes, *, name: str, model: type[Kind], begin: str) -> tuple[Kind | None, list[Problem]]:
    tree, problems = read_document(text, name=name, begin=begin)
    if tree is None:
        return None, problems
    found, invalid = _validate(tree, name=name, model=model)
    spoken = {problem.field for problem in problems}
    problems += [problem for problem in invalid if problem.field not in spoken]
    return (None if problems else found), sorted(problems, key=lambda problem: (problem.line, problem.column))


def read_document(text: str | bytes, *, name: str, begin: str) -> tuple[Tree | None, list[Problem]]:
    """Read a YAML document that must be a mapping.

    Args:
        text: The file's content; bytes must be UTF-8. More than 1 MB is refused unread.
        name: The file as the reader knows it, for the problems.
        begin: How it begins, for a file that is empty.

    Returns:
        The tree, or None if there is no mapping, and every problem of the YAML itself.
    """
    if len(text) > MAX_BYTES:
        message = f"the file has {len(text):,} bytes, more than {MAX_BYTES:,}"
        return None, [Problem(name, 1, 1, "plan", message, "A plan is a few kilobytes; check that this is the right file.")]
    decoded, problem = _decode(text, name=name)
    if problem is not None:
        return None, [problem]
    tree = read_tree(decoded)
    problems = [Problem(name, *fault.place, spell(fault.path), fault.message, fault.fix) for fault in tree.faults]
    if tree.value is None and problems:
        return None, problems
    if not isinstance(tree.value, dict):
        message = "the file is empty" if tree.value is None else "the file is not a mapping of fields"
        return None, [*problems, Problem(name, 1, 1, "plan", message, begin)]
    return tree, problems


def _decode(text: str | bytes, *, name: str) -> tuple[str, Problem | None]:
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        place = Problem(name, text[: error.start].count(b"\n") + 1, 1, "plan", "the file is not UTF-8", "Save it as UTF-8.")  # type: ignore[arg-type]
        return "", place
    return decoded, None


def _validate(tree: Tree, *, name: str, model: type[Kind]) -> tuple[Kind | None, list[Problem]]:
    # As JSON, because pydantic's strict mode takes mappings for sections only there; strict, because `percent: yes` is not 1.
    try:
        return model.model_validate_json(json.dumps(tree.value), strict=True), []
    except ValidationError as error:
        details: list[Any] = error.errors(include_url=False)
        return None, in_words(details, tree, schema=model.model_json_schema(), name=name)
