"""What the code reads of evidence: each member that decides how a release goes on is kept as it was, whatever secrets are known by then."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tasks.rules.record.asked import PARAMETERS
from tasks.rules.record.masking import DECIDING
from tests.source_trees import tree_of

ROOT = Path(__file__).parents[3]
SHOW = (  # what these read is told to people, and decides nothing
    "flows/commands/_export.py", "flows/commands/rehearse.py",
    "tasks/record/page.py", "tasks/rules/approval/contents.py", "tasks/rules/documentation/",
    "tasks/rules/metrics/", "tasks/rules/notify/facts.py", "tasks/rules/record/series.py", "tasks/rules/record/view.py",
    "tasks/rules/rollout/left_out.py", "tasks/rules/rollout/why.py",
)  # fmt: skip
NUMBERS = {
    "answer",
    "begins",
    "here",
    "in_part",
    "may_run_again",
    "moves",
    "named",
    "question",
    "runs",
    "started_at",
    "stays",
    "step_percent",
    "under",
}
"""Numbers, truths, and what is only looked at for being there: no mask changes that."""
PARTS = {
    "new": "kinds of error lines, without the secrets that were known when they were found",
    "items": "lines of the checklist, of which the outcome decides",
    "progress": "whether items are open; else it is shown",
    "samples": "rows whose names of SLIs are compared with those in `slis`, masked alike",
    "slis": "names that are compared with those in `samples`, masked alike",
}
DYNAMIC = {
    "flows/rollback.py": set(PARAMETERS) - {"kind", "because_of", "plan_as_it_is"},
    "tasks/rollout/late_rollback.py": {"plan", "environment", "bad"},
    "tasks/rules/approval/script_failure.py": {"may_run_again", "act", "runs"},
    "tasks/rules/record/asked.py": {"plan", "version"},
    "tasks/rules/windows/schedule.py": {"not_before", "not_later_than"},
}
"""Where names are not written down in the place that reads them: which ones they are."""


def sources() -> list[Path]:
    """List the files that could read evidence."""
    return [path for part in ("flows", "tasks") for path in sorted((ROOT / part).rglob("*.py")) if "evidence" in path.read_text()]


def is_evidence(node: ast.AST, names: set[str]) -> bool:
    """Say if an expression is an entry's evidence, or may be."""
    match node:
        case ast.Attribute(attr="evidence"):
            return True
        case ast.Name(id=name):
            return name in names
        case ast.IfExp(body=first, orelse=second):
            return is_evidence(first, names) or is_evidence(second, names)
        case ast.Call(func=ast.Name(id="hide_in"), args=[first]):
            return is_evidence(first, names)
    return False


def names_of_evidence(function: ast.AST) -> set[str]:
    """List the local names that stand for evidence: an argument called so, and what is given its value."""
    names: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.arg(arg="evidence"):
                names.add("evidence")
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_evidence(value, names):
                names.add(name)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                pairs = zip(targets, values, strict=True)
                names |= {one.id for one, value in pairs if isinstance(one, ast.Name) and is_evidence(value, names)}
    return names


def reads(function: ast.AST) -> Iterator[ast.expr]:
    """Find what is read: `evidence[name]`, `evidence.get(name)`, `name in evidence`, `helper(evidence, name)`."""
    names = names_of_evidence(function)
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=value, slice=name, ctx=ast.Load()) if is_evidence(value, names):
                yield name
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[name, *_]) if is_evidence(value, names):
                yield name
            case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[value]) if is_evidence(value, names):
                yield name
            case ast.Call(func=ast.Name(id=called), args=[value, name, *_]) if is_evidence(value, names) and called.startswith("_"):
                yield name


def members_in(path: Path) -> set[str]:
    """Name the members of evidence that a file reads."""
    place = path.relative_to(ROOT).as_posix()
    found: set[str] = set()
    for function in ast.walk(tree_of(path)):
        for name in reads(function) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) else ():
            if isinstance(name, ast.Constant):
                found.add(str(name.value))
            elif isinstance(name, ast.Name) and name.id.isupper():
                found.add(getattr(import_module(place.removesuffix(".py").replace("/", ".")), name.id))
            else:
                found |= DYNAMIC[place]
    return found


def test_each_member_of_evidence_that_the_code_reads_again_is_one_that_decides() -> None:
    """Whoever can edit a block makes its secret the text that would be masked, such as a moment: `2026-11` ended what waited at a gate."""
    read = {path: members_in(path) for path in sources() if not path.relative_to(ROOT).as_posix().startswith(SHOW)}
    every = {name for names in read.values() for name in names}
    assert every - DECIDING - NUMBERS - set(PARTS) == set()
    assert (NUMBERS | set(PARTS)) - every == set(), "these are not read any more"
    assert len(every) > 40


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("def f(entry):\n    return entry.evidence['x']", "x"),
        ("def f(entry):\n    told = entry.evidence if entry else {}\n    return told.get('x', 1)", "x"),
        ("def f(evidence):\n    return 'x' in evidence", "x"),
        ("def f(entry):\n    return _text(entry.evidence, 'x')", "x"),
    ],
)
def test_the_walk_sees_each_way_of_reading(text: str, member: str, tmp_path: Path) -> None:
    """A member that it does not see would not be asked for above."""
    (file := tmp_path / "read.py").write_text(text)
    assert [name.value for name in reads(tree_of(file)) if isinstance(name, ast.Constant)] == [member]
