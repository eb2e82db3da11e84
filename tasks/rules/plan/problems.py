"""Plan problems: pydantic's findings with place, plain message and fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.rules.plan.types import PATTERN_WORDS
from tasks.rules.plan.yaml_tree import Path, Tree

Detail = Mapping[str, Any]
SHARE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?%")
TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list (lines that begin with `- `)",
    "dict_type": "a mapping (`name: value` lines)",
    "model_type": "a section (`name: value` lines)",
    "model_attributes_type": "a section (`name: value` lines)",
}
BOUNDS = {
    "greater_than": ("must be more than {gt:g}", "Write a larger number."),
    "greater_than_equal": ("must be at least {ge:g}", "Write {ge:g} or more."),
    "less_than": ("must be less than {lt:g}", "Write a smaller number."),
    "less_than_equal": ("must be at most {le:g}", "Write {le:g} or less."),
    "too_short": ("has {actual_length} entries, needs at least {min_length}", "Add what is missing."),
    "too_long": ("has more than {max_length} entries", "Keep at most {max_length}."),
    "string_too_short": ("is empty or too short", "Write at least {min_length} character(s)."),
    "string_too_long": ("is longer than {max_length} characters", "Shorten it."),
    "literal_error": ("must be {expected}", "Write one of these."),
    "finite_number": ("must be a finite number", "Write a plain decimal number."),
}
# The lists whose entries are of several kinds, with the tags that the models give to these kinds.
KINDS: Mapping[Path, frozenset[str]] = {
    ("tests",): frozenset({"junit", "command"}),
    ("judgement", "slis"): frozenset({"platform", "prometheus", "pair", "probe"}),
    ("notify",): frozenset({"name", "receiver"}),
    ("windows", "allow"): frozenset({"times", "calendar", "holiday", "rule"}),
    ("windows", "deny"): frozenset({"times", "calendar", "holiday", "rule"}),
}

# The sections that are of several kinds, with their tags.
SECTIONS: Mapping[Path, frozenset[str]] = {("production",): frozenset({"one", "several"})}


@dataclass(frozen=True)
class Problem:
    """Problem: one thing to fix in a plan.

    Fields:
        file: The plan's file, as the reader named it.
        line: From 1.
        column: From 1.
        field: The plan's own path, as `production.steps[2].percent`; `plan` for the whole.
        message: What is wrong.
        fix: What to write instead.
    """

    file: str
    line: int
    column: int
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        """Format it in one line that editors can jump from."""
        return f"{self.file}:{self.line}:{self.column} {self.field}: {self.message}. {self.fix}"


def spell(path: Sequence[str | int]) -> str:
    """Write a path as people do: `production.steps[2].percent`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part if part.isprintable() else repr(part)}" for part in path)
    return text.removeprefix(".") or "plan"


def in_words(details: Sequence[Detail], tree: Tree, *, schema: Mapping[str, Any], name: str) -> list[Problem]:
    """Turn pydantic's findings into problems.

    Args:
        details: What `ValidationError.errors()` gives.
        tree: The document that was validated.
        schema: The plan's JSON Schema, which knows the names that each section may hold.
        name: The file, for the problems.

    Returns:
        One problem a finding; a missing field that was merely misspelt is left to the misspelling's own.
    """
    problems: list[Problem] = []
    fixed: set[str] = set()
    for detail in sorted(details, key=lambda detail: bool(detail["type"] == "missing")):
        path = _path(detail["loc"])
        if detail["type"] == "union_tag_invalid":
            path = (*path, "source")
        if detail["type"] == "extra_forbidden":
            known = names_at(schema, path[:-1], tree)
            guess = _guess(str(path[-1]), known)
            fixed.update({spell((*path[:-1], guess))} if guess else ())
            message, fix = _unknown(str(path[-1]), guess, known)
        elif detail["type"] == "missing" and spell(path) in fixed:
            continue
        else:
            message, fix = _message(detail, path, tree)
        place = tree.keys.get(path) if detail["type"] == "extra_forbidden" else tree.places.get(path)
        line, column = place or _nearest(path, tree)
        problems.append(Problem(name, line, column, spell(path), message, fix))
    return problems


def _path(location: Sequence[str | int]) -> Path:
    """Leave out what pydantic adds to a location: the kind of a list's entry or of a section, and `[key]`."""
    path: Path = ()
    for index, part in enumerate(location):
        kind = tuple(location[: index - 1]) in KINDS and part in KINDS[tuple(location[: index - 1])]
        kind = kind or part in SECTIONS.get(tuple(location[:index]), ())
        if not kind and not (part == "[key]" and index == len(location) - 1):
            path = (*path, part)
    return path


def _nearest(path: Path, tree: Tree) -> tuple[int, int]:
    while path and path not in tree.keys and path not in tree.places:
        path = path[:-1]
    return tree.keys.get(path) or tree.places.get(path, (1, 1))


def _message(detail: Detail, path: Path, tree: Tree) -> tuple[str, str]:
    kind, context = str(detail["type"]), detail.get("ctx", {})
    plain: dict[str, Callable[[], tuple[str, str]]] = {
        "plan_fault": lambda: (str(context["wrong"]), str(context["fix"])),
        "missing": lambda: (f"`{path[-1]}` is missing", f"Add `{path[-1]}:` here; docs/plan.yaml shows it with its unit and default."),
        "union_tag_not_found": lambda: ("this does not name evidence", "Write `junit: reports/junit.xml` or `command: [make, test]`."),
        "union_tag_invalid": lambda: (f"`{_shown(tree, path)}` is not a source of counts", "Write platform, prometheus or probe."),
        "string_pattern_mismatch": lambda: (f"`{_shown(tree, path)}` does not fit", PATTERN_WORDS.get(context["pattern"], "Look it up.")),
    }
    if kind in plain:
        return plain[kind]()
    if kind in TYPES:
        return _wrong_type(TYPES[kind], path, tree)
    if kind in BOUNDS:
        message, fix = BOUNDS[kind]
        shown = f"`{_shown(tree, path)}` " if path in tree.words else ""
        return shown + message.format(**context), fix.format(**context)
    return str(detail["msg"]), "docs/plan.yaml shows every field with its unit and default."


def _wrong_type(wanted: str, path: Path, tree: Tree) -> tuple[str, str]:
    words = tree.words.get(path)
    if words is None:
        return f"must be {wanted}", "docs/plan.yaml shows how it is written."
    if words.strip() in {"", "~", "null"}:
        return f"is empty, but must be {wanted}", "Write a value, or leave the whole line out for the default."
    if wanted == "text":
        return f"`{_shown(tree, path)}` is read as a number or as yes/no by YAML, but must be text", f'Put it in quotes: "{words[:80]}".'
    return f"`{_shown(tree, path)}` must be {wanted}", _fix_of_type(wanted, words)


def _fix_of_type(wanted: str, words: str) -> str:
    """Say what to write in the place of one word that is of another type."""
    if wanted == "true or false":
        return "Write true or false, without quotes."
    if wanted == "a whole number":
        return "Write it in digits alone, without quotes, point, exponent or unit; the unit is in the field's name."
    if wanted != "a number":
        kind = "each entry in a line that begins with `- `" if wanted.startswith("a list") else "`name: value` lines below the field's name"
        return f"Write {kind}; docs/plan.yaml shows it."
    share = SHARE.fullmatch(words.strip())
    if share:
        return f"Write it as a ratio: {float(share[1]) / 100:g}."
    return "Write a decimal number without quotes and without a unit; the unit is in the field's name."


def _shown(tree: Tree, path: Path) -> str:
    text = tree.words.get(path, "")
    return text if len(text) <= 80 else text[:77] + "…"  # noqa: PLR2004 - one line of a terminal


def _guess(word: str, known: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def _unknown(word: str, guess: str | None, known: Sequence[str]) -> tuple[str, str]:
    fix = f"Did you mean `{guess}`?" if guess else f"Remove it; known here: {', '.join(known)}."
    return f"the field `{word}` is unknown", fix


def names_at(schema: Mapping[str, Any], path: Path, tree: Tree) -> list[str]:
    """List the fields that a section may hold.

    Args:
        schema: The plan's JSON Schema.
        path: The section.
        tree: The document, to find which of several kinds of section this one is.

    Returns:
        The names, in the schema's order; empty if the path does not exist.
    """
    here: Mapping[str, Any] = schema
    for index, part in enumerate(path):
        here = here.get("items", {}) if isinstance(part, int) else here.get("properties", {}).get(part, {})
        branches = here.get("oneOf", here.get("anyOf", ()))
        if branches:
            here = max((_follow(branch, schema) for branch in branches), key=lambda kind: _likeness(kind, path[: index + 1], tree))
        here = _follow(here, schema)
    return list(here.get("properties", ()))


def _likeness(kind: Mapping[str, Any], path: Path, tree: Tree) -> tuple[bool, int, int]:
    """Return how well a section fits one of its kinds: by the constants of the kind, then by its required and known fields."""
    fixed = {name: field for name, field in kind.get("properties", {}).items() if "const" in field}
    agrees = all(tree.words.get((*path, name), field.get("default")) == field["const"] for name, field in fixed.items())
    has = [(*path, need) in tree.keys for need in kind.get("required", ())]
    return agrees, -has.count(False), has.count(True)


def _follow(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(part.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = schema["$defs"][name] if name else part
    return found
