"""What pyproject.toml asks for is what the product uses, and no more."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from blocks.extras import EXTRAS
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OURS = ("flows", "tasks", "blocks")
BROUGHT = {"pydantic-core": "pydantic"}  # a dependency pins it, and speaks in its types


def canonical(name: str) -> str:
    """Write a distribution's name as the registry does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements: list[str]) -> set[str]:
    """Name the distributions of requirements."""
    return {canonical(re.match(r"[\w.-]+", one)[0]) for one in requirements}  # type: ignore[index]


distributions = cache(packages_distributions)


def modules_of(distribution: str) -> set[str]:
    """Name the modules that a distribution brings."""
    return {module for module, names in distributions().items() if distribution in map(canonical, names) and not module.startswith("_")}


def imported(nodes: Iterator[ast.AST] | list[ast.stmt]) -> set[str]:
    """Name the third parties' modules that are imported, by their first part."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - {*OURS, *sys.stdlib_module_names}


class Product(NamedTuple):
    """The product's files, what they import, and the texts in them."""

    trees: dict[Path, ast.Module]
    imported: set[str]
    texts: set[str]


@pytest.fixture(scope="module")
def product() -> Product:
    """Parse the product; not at import, which every process pays that collects the tests."""
    trees = {file: tree_of(file) for room in OURS for file in (ROOT / room).rglob("*.py")}
    walked = {file: list(ast.walk(tree)) for file, tree in trees.items()}
    texts = {
        node.value
        for file, nodes in walked.items()
        if file.name != "extras.py"
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return Product(trees, set(chain.from_iterable(imported(nodes) for nodes in walked.values())), texts)


CORE = named(PROJECT["dependencies"])
OF_EXTRAS = {extra: named(PROJECT["optional-dependencies"][extra]) for extra in EXTRAS}


@pytest.mark.slow
@pytest.mark.parametrize("distribution", sorted(CORE.union(*OF_EXTRAS.values())))
def test_a_dependency_is_imported_or_named_by_the_product(distribution: str, product: Product) -> None:
    """By an import, or by name: a module that is imported late, a program that is run, a driver."""
    modules = modules_of(distribution)
    by_name = re.compile(rf"(^|.*\+)({'|'.join(modules)})(\..*)?$")
    assert modules & product.imported or any(by_name.fullmatch(text) for text in product.texts), f"nothing uses {distribution}: {modules}"


def test_what_is_imported_is_asked_for(product: Product) -> None:
    """Not only brought by another dependency, which may leave it out one day."""
    asked = CORE.union(*OF_EXTRAS.values())
    brought = {module: {canonical(name) for name in distributions()[module]} for module in product.imported}
    assert not {module: names for module, names in brought.items() if not {BROUGHT.get(name, name) for name in names} & asked}


def test_an_extra_is_imported_late_and_known_by_its_modules(product: Product) -> None:
    """The product starts without it, and says which extra is missing."""
    assert {*OF_EXTRAS, "dev"} == set(PROJECT["optional-dependencies"])
    for extra, distributions in OF_EXTRAS.items():
        modules = set().union(*(modules_of(one) for one in distributions))
        known = {name.partition(".")[0] for name in EXTRAS[extra]}  # some share a package, as `opentelemetry`
        assert known <= modules
        assert all(known & modules_of(one) for one in distributions)
        early = {str(file): found for file, tree in product.trees.items() if (found := imported(tree.body) & modules)}
        assert not early
