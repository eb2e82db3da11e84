"""A plan's file is read whole or refused with every problem, its place and its fix."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.file import MAX_BYTES, Problem, read_plan
from tasks.rules.plan.plan import Plan

MINIMAL = """\
shipway: 1
service: guestbook
tests:
  - junit: reports/junit.xml
verification:
  health:
    - path: /healthz
judgement:
  slis:
    - {name: availability, indicator: errors}
staging:
  platform: local/staging
production:
  platform: local/production
  steps:
    - percent: 5
    - percent: 50
    - percent: 100
approval:
  approvers: [ada, grace]
  quorum: 1
rollback: {}
"""


def problems_of(old: str, new: str) -> list[Problem]:
    """Read the minimal plan with one change."""
    assert old in MINIMAL
    plan, problems = read_plan(MINIMAL.replace(old, new), name="shipway.yaml")
    assert plan is None
    return problems


def test_the_minimal_plan_is_read() -> None:
    """A plan with only the required fields needs nothing else."""
    plan, problems = read_plan(MINIMAL.encode(), name="shipway.yaml")
    assert problems == []
    assert plan is not None
    assert plan.production.steps[1].percent == 50


FAULTS = [
    ("rollback: {}\n", "", "1:1 rollback: `rollback` is missing"),
    ("rollback: {}", "rolback: {}", "22:1 rolback: the field `rolback` is unknown. Did you mean `rollback`?"),
    ("percent: 50", "percent: 3", "16:5 production.steps: steps must rise: 5, 3, 100. Write them in the order 3, 5, 100"),
    ("percent: 50", "percent: 5", "16:5 production.steps: steps must rise: 5, 5, 100. Write them in the order 5, 100"),
    ("percent: 100", "percent: 90", "16:5 production.steps: the last step must be 100 %, not 90 %"),
    ("percent: 50", "percent: yes", "17:16 production.steps[1].percent: `yes` must be a whole number"),
    ("percent: 50", 'percent: "50"', "17:16 production.steps[1].percent: `50` must be a whole number"),
    ("percent: 50", "percent: 0", "17:16 production.steps[1].percent: `0` must be at least 1"),
    ("percent: 50", "percent: 050", "17:16 production.steps[1].percent: `050` is read as an unusual number"),
    ("percent: 50", "percent: 1:30", "17:16 production.steps[1].percent: `1:30` is read as an unusual number"),
    ("percent: 50", "percent: 5e999", "17:16 production.steps[1].percent: `5e999` is read as an unusual number"),
    ("percent: 50", "percent: .nan", "17:16 production.steps[1].percent: "),
    ("percent: 50", "percent:", "production.steps[1].percent: is empty, but must be a whole number"),
    ("quorum: 1", "quorum: 3", "21:11 approval.quorum: a quorum of 3 can never be met by 2 approver(s)"),
    ("approvers: [ada, grace]", "approvers: []", "21:11 approval.quorum: a quorum of 1 can never be met by 0 approver(s)"),
    ("approvers: [ada, grace]", "approvers: [ada, ada]", "20:14 approval.approvers: `ada` is listed twice"),
    ("service: guestbook", "service: 1.10", "2:10 service: `1.10` is read as a number or as yes/no by YAML"),
    ("service: guestbook", "service: on", 'must be text. Put it in quotes: "on"'),
    ("service: guestbook", "service: 2026-01-01", '2:10 service: `2026-01-01` is read as a date by YAML. Put it in quotes: "2026-01-01"'),
    ("service: guestbook", "service: Guest Book", "2:10 service: `Guest Book` does not fit. Write lower-case letters"),
    ("service: guestbook", "service: guestbook\nservice: other", "3:1 service: `service` is written twice, first in line 2"),
    ("shipway: 1", "shipway: 2", "1:10 shipway: `2` must be 1"),
    ("shipway: 1", "on: 1\nshipway: 1", "1:1 plan: the key `on` is read as yes or no by YAML. If it is meant as text, put it in quotes"),
    ("rollback: {}", "rollback: {to: '1;reboot'}", "22:16 rollback.to: `1;reboot` does not fit"),
    ("rollback: {}", "rollback: !!python/object/apply:os.system [ls]", "22:11 rollback: the tag `tag:yaml.org,2002:python/ob"),
    ("rollback: {}", "rollback: {<<: {to: previous}}", "merge keys (`<<`) are refused"),
    ("rollback: {}", "rollback: {}\nchecklist: {items: [{name: a, text: b}, {name: a, text: c}]}", "checklist.items: `a` is listed twice"),
    ("rollback: {}", "rollback: {}\nchecklist: {items: [{name: a, text: b, evidence: photo}]}", "items[0].evidence: `photo` must be"),
    ("rollback: {}", "rollback: {}\nchecklist: {commands: [{name: a}]}", "checklist.commands[0].command"),
    ("junit: reports/junit.xml", "junit: ../../etc/passwd", "4:12 tests[0].junit: `../../etc/passwd` leads out of the plan's folder"),
    ("junit: reports/junit.xml", "junit: /etc/passwd", "4:12 tests[0].junit: `/etc/passwd` is not relative to the plan's folder"),
    ("junit: reports/junit.xml", "comand: [x]", "4:5 tests[0]: this does not name evidence. Write `junit: "),
    ("junit: reports/junit.xml", "command: []", "4:14 tests[0].command: has 0 entries, needs at least 1"),
    ("junit: reports/junit.xml", "junit: a.xml\n    command: [x]", "5:5 tests[0].command: the field `command` is unknown"),
    ("junit: reports/junit.xml", "junit: a.xml\n    min_test: 3", "Did you mean `min_tests`?"),
    ("tests:\n  - junit: reports/junit.xml\n", "", "1:1 checklist: the checklist requires passed tests, but `tests` does not"),
    ("platform: local/production", "platform: local/staging", "14:3 production: staging and production are the same platform"),
    ("indicator: errors", "indicator: latency", "judgement.slis[0].threshold_seconds: a latency indicator needs a threshold"),
    ("indicator: errors", "indicator: errors, deciding: false", "10:5 judgement.slis: no SLI decides"),
    ("rollback: {}", "rollback: {}\nlogs: {error_pattern: '('}", "23:23 logs.error_pattern: the pattern is not a regular expression"),
    ("rollback: {}", "rollback: {}\ndependencies: [{name: a, url: 'http://h/', version: '>>2'}]", "'>>2' is not a version range"),
    ("rollback: {}", "rollback: {}\ndependencies: [{name: a, url: 'http://u:secret@h/'}]", "url: `http://u:secret@h/` does not fit"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "expected"), FAULTS, ids=[new or "absent: " + old for old, new, _ in FAULTS])
def test_a_fault_is_named_with_its_place_and_fix(old: str, new: str, expected: str) -> None:
    """Each fault gives a line that begins with file, line and column and says what to write."""
    lines = [str(problem) for problem in problems_of(old, new)]
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("shipway.yaml:") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new, _ in FAULTS if "dependencies" not in new])
def test_one_fault_gives_one_problem(old: str, new: str) -> None:
    """A fault is not reported a second time in pydantic's words."""
    assert len(problems_of(old, new)) == 1


def test_every_problem_is_reported_at_once() -> None:
    """Faults in different sections do not hide each other, and come in the file's order."""
    text = (
        MINIMAL.replace("percent: 50", "percent: 3")
        .replace("quorum: 1", "quorum: 9")
        .replace("guestbook", "Guest")
        .replace("rollback: {}\n", "")
    )
    _, problems = read_plan(text, name="shipway.yaml")
    assert [problem.field for problem in problems] == ["rollback", "service", "production.steps", "approval.quorum"]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "deeper than 32 levels or has more than 20,000 values"),
        ("a: &a [*a]", "deeper than 32 levels"),
        ("a: " + "[" * 500_000, "deeper than 32 levels"),
        ("a: " + "- " * 300_000, "this is not YAML: sequence entries are not allowed here"),
        ("x" * (MAX_BYTES + 1), "more than 1,000,000"),
        (b"\x00" * 100_000_000, "the file has 100,000,000 bytes, more than 1,000,000"),
        (b"service: caf\xe9", "the file is not UTF-8"),
        ("", "the file is empty"),
        ("[1, 2]", "the file is not a mapping"),
        ("--- {}\n--- {}", "more than one document"),
        ("a: 'b", "this is not YAML"),
        ("a: *b", "undefined alias"),
        ('a: "\\UFFFFFFFF"', "this is not YAML"),
        ('a: "\\ud800"', "half a character"),
        ("\x00", "this is not YAML"),
        ("? [a]\n: b", "a key must be text"),
        ("a: !!map x", "the tag"),
        ("a: !!int x", "an unusual number"),
        ("a: " + "9" * 10_000, "an unusual number"),
    ],
    ids=lambda value: str(value[:20]),
)
def test_a_hostile_file_is_refused_quickly(text: str | bytes, expected: str) -> None:
    """Bombs, depth, size and broken bytes end in a problem, within 2 s of processor time."""
    start = time.process_time()
    plan, problems = read_plan(text, name="x")
    assert time.process_time() - start < 2
    assert plan is None
    assert any(expected in str(problem) for problem in problems)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300), st.text(alphabet="a:- \n[]{}&*!<>|'\"#%,?0.\\u", max_size=120)))
def test_no_text_raises(text: str | bytes) -> None:
    """Whatever is in the file, the answer is a plan or problems."""
    plan, problems = read_plan(text, name="x")
    assert (plan is None) == bool(problems)


LINES = MINIMAL.splitlines()


@given(
    st.integers(0, len(LINES) - 1),
    st.sampled_from(
        ["", "  x: 1", "steps: {}", "- 1", "tests: [null]", "judgement: 3", "verification:", "production: []", "approval: {approvers: 3}"]
    ),
)
def test_no_changed_line_raises(index: int, line: str) -> None:
    """A plan with one line replaced is read or refused."""
    plan, problems = read_plan("\n".join([*LINES[:index], line, *LINES[index + 1 :]]), name="x")
    assert (plan is None) == bool(problems)


def test_a_plan_survives_the_round_trip() -> None:
    """What is written out as JSON, or as YAML, is read back as the same plan."""
    text = (Path(__file__).parents[3] / "docs/plan.yaml").read_text()
    plan, _ = read_plan(text, name="plan.yaml")
    assert plan is not None
    dumped = plan.model_dump(mode="json")
    assert Plan.model_validate(dumped) == plan
    assert read_plan(yaml.safe_dump(dumped), name="again.yaml") == (plan, [])
