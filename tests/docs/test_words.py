"""The texts that people read use the field's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    [
        *(
            ROOT / name
            for name in ("README.md", "CHANGELOG.md", "Makefile", ".ci/run", "prefect.yaml", "prefect.kubernetes.yaml", "flows/cli.py")
        ),
        *(path for kind in ("*.md", "*.yaml", "*.svg") for path in (ROOT / "docs").rglob(kind)),
        *(path for kind in ("*.md", "*.yaml") for path in (ROOT / "examples").rglob(kind)),
        *(ROOT / "flows/commands").glob("*.py"),
    ]
)
RELAPSES = re.compile(
    r"\bways? back\b|\bmend(s|ed|ing)?\b|(?<!there )\bis no\b(?! longer| data)|\bsomebody\b|(?<!`)\bnobody\b(?!`)"
    r"|\b(takes?|taken|took|brings?|brought|goes|go|went) (it |them |all )?back\b|\bcan not\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_text_falls_back_into_words_of_our_own(path: Path) -> None:
    """Roll back, fix, "is not a"; `nobody` is a user's name alone."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [f"{number}: {line.strip()}" for number, line in enumerate(lines, start=1) if RELAPSES.search(line)] == []
