"""Syntax trees of the product's files."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def tree_of(path: Path) -> ast.Module:
    """Parse a file; without garbage collection, whose finalizers CPython 3.11 takes for a fault of its parser (SystemError)."""
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))  # noqa: TID251
    finally:
        gc.enable()
