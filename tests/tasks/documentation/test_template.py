"""A plan's own template: read within bounds, and checked before it is ever used."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.commands.check import look_at
from tasks.documentation.template import own_template, read_template, template_problems
from tasks.rules.plan.documentation import Documentation

GUESTBOOK = Path(__file__).parents[3] / "examples" / "guestbook"
WITH = Documentation(template="deployment.md")


def test_a_plan_without_a_template_gets_ours(tmp_path: Path) -> None:
    """Nothing is read."""
    assert read_template(Documentation(), tmp_path) == own_template()


def test_a_template_of_the_plan_is_taken_as_it_is(tmp_path: Path) -> None:
    """With a byte-order mark or without."""
    (tmp_path / "deployment.md").write_text("\ufeff# {{ version }}\n", encoding="utf-8")
    assert read_template(WITH, tmp_path) == "# {{ version }}\n"
    assert template_problems(WITH, tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 100_001, "more than 100,000 bytes"),
        (b"a\n{{ verison }}\n", "Line 2: `{{ verison }}` is not known. Did you mean `{{ version }}`?"),
    ],
)
def test_what_cannot_be_used_is_a_problem_of_the_check(tmp_path: Path, content: bytes | None, said: str) -> None:
    """It names the field, the line and the fix."""
    if content is not None:
        (tmp_path / "deployment.md").write_bytes(content)
    (problem,) = template_problems(WITH, tmp_path)
    assert problem.startswith("documentation.template: ")
    assert said in problem


def test_shipway_check_refuses_a_template_that_runs_code(tmp_path: Path) -> None:
    """Before any release meets it."""
    text = (GUESTBOOK / "shipway.yaml").read_text()
    (tmp_path / "shipway.yaml").write_text(f"{text}\ndocumentation: {{template: page.md}}\n")
    (tmp_path / "page.md").write_text("{% for entry in entries %}\n")
    problems = look_at(tmp_path / "shipway.yaml")[1]
    assert [problem for problem in problems if "no code runs in a template" in problem]
