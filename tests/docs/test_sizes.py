"""The product stays in pieces that are read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
FILES = sorted(path for room in ("blocks", "flows", "tasks") for path in (ROOT / room).rglob("*.py"))
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_no_file_is_too_long() -> None:
    """300 lines at most."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    """40 lines at most, without its signature and its docstring."""
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": _length(node)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function)
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}


def _length(function: Function) -> int:
    """Count the lines of a body."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
