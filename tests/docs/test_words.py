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


# In code, names included; a user called `nobody` is named where something runs as it.
IN_CODE = re.compile(
    r"\bways? back\b|\bmend(s|ed|ing)?\b|(?<!there )\bis no (?!longer|data|limit|one\b)|\bsomebody|\bnobody|\bhouse\b|\bformer\b|\bbears\b",
    re.IGNORECASE,
)
CODE = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("blocks", "flows", "tasks", "tests") for path in (ROOT / folder).rglob("*.py")
)
WITH_THE_USER = {
    "blocks/server/unprivileged.py",
    "tests/attacks/neighbour.py",
    "tests/attacks/test_neighbours.py",
    "tests/attacks/test_ports.py",
    "tests/tasks/postgres_15.py",
}
WITH_THE_WORDS = {"tests/docs/test_words.py"}


def relapses_in(path: str) -> list[str]:
    """List the lines of a file that have one of the words."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    found = [
        (number, line, {one[0].lower() for one in IN_CODE.finditer(line.replace("_", " "))}) for number, line in enumerate(lines, start=1)
    ]
    allowed = {"nobody"} if path in WITH_THE_USER else set()
    return [f"{number}: {line.strip()}" for number, line, words in found if words - allowed]


@pytest.mark.parametrize("path", [path for path in CODE if path not in WITH_THE_WORDS])
def test_code_keeps_the_fields_words(path: str) -> None:
    """No line of it has a word that a reader of Kubernetes, Argo and Prefect would have to learn."""
    assert relapses_in(path) == []
