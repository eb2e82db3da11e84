"""Every sentence of the handbook's section Security is carried by a test, or is listed as one that promises nothing."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.security_sentences import CARRIED
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[2]
END = re.compile(r"(?<=[.?!])\s+(?=[A-Z`(])")
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
IDS = sorted({name for _, carried in CARRIED if isinstance(carried, tuple) for name in carried})


def sentences() -> list[str]:
    """Part the section into its sentences, without marks of bold text and addresses of links."""
    section = (ROOT / "docs" / "handbook.md").read_text(encoding="utf-8").partition("\n## Security\n")[2].partition("\n## ")[0]
    blocks = re.split(r"\n\s*\n|\n(?=\s*- )", LINK.sub(r"\1", section.replace("**", "")))
    texts = (" ".join(block.split()).removeprefix("- ") for block in blocks)
    return [sentence for text in texts for sentence in END.split(text) if sentence]


@cache
def names_in(path: Path) -> frozenset[str]:
    """List the tests of a file, those of classes, too."""
    return frozenset(node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_each_sentence_has_its_row_in_the_same_order() -> None:
    """Who writes a new sentence, or another one, says which test carries it; who removes one removes its row."""
    begins, found = [begin for begin, _ in CARRIED], sentences()
    unlike = [(begin, sentence[:80]) for begin, sentence in zip(begins, found, strict=False) if not sentence.startswith(begin)]
    assert unlike[:1] == []
    assert len(begins) == len(found)


@pytest.mark.parametrize("name", IDS)
def test_each_test_that_carries_a_sentence_exists(name: str) -> None:
    """By its file and its name."""
    file, _, test = name.partition("::")
    assert test in names_in(ROOT / "tests" / f"{file}.py")
