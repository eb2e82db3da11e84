"""Patterns that each Python we support reads alike."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import blocks
import flows
import tasks

compiler, constants, parser = (importlib.import_module(f"re._{name}") for name in ("compiler", "constants", "parser"))


def patterns_of(value: object) -> Iterator[re.Pattern[str]]:
    """Give the patterns that a module's name stands for: one, or a table of them."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from patterns_of(tuple(value.values()))
    elif isinstance(value, tuple | list | frozenset | set):
        for one in value:
            yield from patterns_of(one)


def modules() -> Iterator[ModuleType]:
    """Import each module of the product."""
    for package in (blocks, flows, tasks):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def repeats_a_group_possessively(parsed: Any) -> bool:
    """Say whether a possessive quantifier stands after more than one character or set: `(?:ab?c)++`, and not `[ab]++`."""
    for operation, argument in parsed:
        if operation is constants.POSSESSIVE_REPEAT and not compiler._simple(argument[2]):
            return True
        parts = argument if isinstance(argument, tuple | list) else (argument,)
        inner = [one for part in parts for one in (part if isinstance(part, list) else [part]) if isinstance(one, parser.SubPattern)]
        if any(repeats_a_group_possessively(one) for one in inner):
            return True
    return False


def test_the_walk_sees_what_it_looks_for() -> None:
    """Within groups, branches and looks ahead."""
    for pattern in (r"(?:ab?c)*+", r"x(?:y|(?=(?:ab|c)++))", r"(a(?:b+c){5,}+)?"):
        assert repeats_a_group_possessively(parser.parse(pattern)), pattern
    for pattern in (r"[ab]++c*+", r"x(?>(?:ab?c)*)", r"\d{1,3}+"):
        assert not repeats_a_group_possessively(parser.parse(pattern)), pattern


def test_no_pattern_repeats_a_group_possessively() -> None:
    """Python before 3.11.5, as Debian 12 has it, goes on at a wrong place after such a group, and may never end: use `(?>(?:…)*)`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = {
            (module.__name__, name)
            for module in modules()
            for name, value in vars(module).items()
            for pattern in patterns_of(value)
            if repeats_a_group_possessively(parser.parse(pattern.pattern, pattern.flags))
        }
    assert found == set()
